//! `/queue`: what waits and what is in work, by worker; pause and resume.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use askama::Template;
use ui::Moment;

use super::access::{Act, Action, Look, Operator};
use super::confirmation::{Confirmation, confirm};
use super::frame::Frame;
use super::page::{page, see_other};
use super::workers::Workers;
use crate::operations::queue;
use crate::problem::Problem;
use crate::state::AppState;

#[derive(Template)]
#[template(path = "queue.html")]
struct QueuePage {
    frame: Frame,
    parts: Parts,
}

/// The live parts of the page.
pub(super) struct Parts {
    pub(super) state: Pause,
    pub(super) jobs: Jobs,
    pub(super) workers: Workers,
}

#[derive(Template)]
#[template(path = "queue/state.html")]
pub(super) struct Pause {
    paused: Option<(Moment, String)>,
    may_act: bool,
}

#[derive(Template)]
#[template(path = "queue/jobs.html")]
pub(super) struct Jobs {
    /// `None` while Redis is unreachable.
    counts: Option<Counts>,
}

struct Counts {
    waiting: String,
    in_flight: String,
    oldest: Option<String>,
    workers: String,
}

pub(super) async fn show(state: Data<AppState>, operator: Operator<Look>) -> Result<HttpResponse, Problem> {
    let shown = QueuePage {
        parts: parts(&state, operator.may_act()).await?,
        frame: Frame::of(&state, &operator, "Queue", "/live/queue").await,
    };
    page("render queue.html", &shown, StatusCode::OK).await
}

pub(super) async fn parts(state: &AppState, may_act: bool) -> Result<Parts, Problem> {
    let queue = state.store.queue_state().await?;
    let stats = state.dispatcher.queue().stats().await;
    let stats = stats.inspect_err(|error| tracing::debug!(%error, "cannot measure the queue"));
    Ok(Parts {
        state: Pause {
            paused: queue.paused_at.map(Moment::recent).zip(queue.paused_by),
            may_act,
        },
        workers: Workers::read(state).await,
        jobs: Jobs {
            counts: stats.ok().map(|stats| Counts {
                waiting: ui::grouped(stats.depth),
                in_flight: ui::grouped(stats.in_flight),
                oldest: stats.oldest_age.map(ui::duration),
                workers: ui::grouped(stats.workers),
            }),
        },
    })
}

pub(super) async fn confirm_pause(
    state: Data<AppState>,
    operator: Operator<Act>,
) -> Result<HttpResponse, Problem> {
    let confirmation = Confirmation {
        title: "Pause the queue?".to_owned(),
        text:
            "Workers finish what they have begun, and claim no more orders. Orders are still accepted, and \
               wait until the queue is resumed."
                .to_owned(),
        action: "/queue/pause".to_owned(),
        button: "Pause".to_owned(),
        class: "danger",
        back: "/queue".to_owned(),
        ..Confirmation::default()
    };
    confirm(&state, &operator, "Queue", confirmation).await
}

pub(super) async fn confirm_resume(
    state: Data<AppState>,
    operator: Operator<Act>,
) -> Result<HttpResponse, Problem> {
    let confirmation = Confirmation {
        title: "Resume the queue?".to_owned(),
        text: "Workers claim orders again, within 2 seconds.".to_owned(),
        action: "/queue/resume".to_owned(),
        button: "Resume".to_owned(),
        class: "primary",
        back: "/queue".to_owned(),
        ..Confirmation::default()
    };
    confirm(&state, &operator, "Queue", confirmation).await
}

pub(super) async fn pause(state: Data<AppState>, action: Action) -> Result<HttpResponse, Problem> {
    queue::pause_by(&state, &action.operator.actor()).await?;
    Ok(see_other("/queue"))
}

pub(super) async fn resume(state: Data<AppState>, action: Action) -> Result<HttpResponse, Problem> {
    queue::resume_by(&state, &action.operator.actor()).await?;
    Ok(see_other("/queue"))
}

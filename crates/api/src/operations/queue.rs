//! `POST /api/queue/pause` and `/api/queue/resume`.

use actix_web::HttpResponse;
use actix_web::web::Data;
use domain::Actor;

use crate::caller::{Admin, Caller};
use crate::problem::Problem;
use crate::state::AppState;

/// Names of the events.
const QUEUE_PAUSED: &str = "queue.paused";
const QUEUE_RESUMED: &str = "queue.resumed";

/// Pause the queue
///
/// Workers claim no orders from at most 2 seconds later on, and finish those that they have. Orders are
/// created as before. The queue stays paused until it is resumed, across restarts.
#[utoipa::path(post, path = "/api/queue/pause", tag = "operations", operation_id = "pauseQueue",
    responses((status = 204, description = "The queue is paused")),
    security(("bearer" = ["orders:admin"])))]
pub(crate) async fn pause(state: Data<AppState>, caller: Caller<Admin>) -> Result<HttpResponse, Problem> {
    pause_by(&state, &caller.operator()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Pauses the queue, and records it in the audit trail if it was not paused.
pub(crate) async fn pause_by(state: &AppState, actor: &Actor) -> Result<(), Problem> {
    if state.store.pause(actor).await? {
        tracing::info!(name: QUEUE_PAUSED, { order.actor = %actor }, "queue paused");
    }
    Ok(())
}

/// Resume the queue
#[utoipa::path(post, path = "/api/queue/resume", tag = "operations", operation_id = "resumeQueue",
    responses((status = 204, description = "Workers claim orders")),
    security(("bearer" = ["orders:admin"])))]
pub(crate) async fn resume(state: Data<AppState>, caller: Caller<Admin>) -> Result<HttpResponse, Problem> {
    resume_by(&state, &caller.operator()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Resumes the queue, and records it in the audit trail if it was paused.
pub(crate) async fn resume_by(state: &AppState, actor: &Actor) -> Result<(), Problem> {
    if state.store.resume(actor).await? {
        tracing::info!(name: QUEUE_RESUMED, { order.actor = %actor }, "queue resumed");
    }
    Ok(())
}

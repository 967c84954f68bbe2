//! `/operations`: who changed many orders, or the queue, when, and how far it is.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Path};
use askama::Template;
use domain::OrderStatus;
use store::{Operation, OrderFilter};
use ui::Moment;
use uuid::Uuid;

use super::access::{Look, Operator};
use super::frame::Frame;
use super::page::page;
use super::words;
use crate::problem::Problem;
use crate::state::AppState;

/// Operations on the page.
const ROWS: usize = 50;

#[derive(Template)]
#[template(path = "operations.html")]
struct OperationsPage {
    frame: Frame,
    list: List,
}

#[derive(Template)]
#[template(path = "operation.html")]
struct OperationPage {
    frame: Frame,
    progress: Progress,
}

/// The live part of the list.
#[derive(Template)]
#[template(path = "operations/list.html")]
pub(super) struct List {
    rows: Vec<Row>,
}

/// The live part of one operation.
#[derive(Template)]
#[template(path = "operations/progress.html")]
pub(super) struct Progress {
    operation: Row,
}

struct Row {
    id: Uuid,
    kind: String,
    actor: String,
    created: Moment,
    finished: Option<Moment>,
    took: String,
    filter: String,
    /// Whether it changes orders, rather than the queue.
    is_bulk: bool,
    done_count: i64,
    matched_count: i64,
    matched: String,
    done: String,
    skipped: String,
}

pub(super) async fn show(state: Data<AppState>, operator: Operator<Look>) -> Result<HttpResponse, Problem> {
    let shown = OperationsPage {
        list: list(&state).await?,
        frame: Frame::of(&state, &operator, "Operations", "/live/operations").await,
    };
    page("render operations.html", &shown, StatusCode::OK).await
}

pub(super) async fn show_one(
    state: Data<AppState>,
    operator: Operator<Look>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    let shown = OperationPage {
        progress: progress(&state, *id).await?,
        frame: Frame::of(&state, &operator, "Operations", format!("/live/operations/{id}")).await,
    };
    page("render operation.html", &shown, StatusCode::OK).await
}

pub(super) async fn list(state: &AppState) -> Result<List, Problem> {
    let operations = state.store.operations(ROWS).await?;
    Ok(List {
        rows: operations.into_iter().map(row).collect(),
    })
}

pub(super) async fn progress(state: &AppState, id: Uuid) -> Result<Progress, Problem> {
    let operation = state.store.operation(id).await?;
    let operation =
        operation.ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "There is no such operation."))?;
    Ok(Progress {
        operation: row(operation),
    })
}

fn row(operation: Operation) -> Row {
    let took = operation
        .finished_at
        .map(|at| (at - operation.created_at).to_std().unwrap_or_default());
    Row {
        id: operation.id,
        created: Moment::recent(operation.created_at),
        finished: operation.finished_at.map(Moment::recent),
        took: took.map_or_else(String::new, ui::duration),
        filter: filter_words(&operation.filter),
        is_bulk: matches!(operation.kind.as_str(), "retry" | "cancel"),
        matched: ui::grouped(operation.matched),
        done: ui::grouped(operation.done),
        skipped: ui::grouped(operation.skipped),
        done_count: operation.done,
        matched_count: operation.matched.max(1),
        kind: operation.kind,
        actor: operation.actor,
    }
}

/// The filter as an operator reads it.
fn filter_words(filter: &OrderFilter) -> String {
    let mut words = Vec::new();
    // Of the failed orders, a code says all.
    let status = filter
        .status
        .filter(|status| *status != OrderStatus::Failed || filter.failure_code.is_none());
    words.extend(status.map(|status| status.to_string()));
    words.extend(
        filter
            .failure_code
            .as_ref()
            .map(|code| format!("failed with {code}")),
    );
    words.extend(
        filter
            .payment_status
            .map(|status| format!("payment: {}", words::payment(status))),
    );
    words.extend(
        filter
            .customer
            .as_ref()
            .map(|customer| format!("of customer {}", customer.as_str())),
    );
    words.extend(
        filter
            .created_after
            .map(|at| format!("created from {}", at.format("%Y-%m-%d %H:%M:%S UTC"))),
    );
    words.extend(
        filter
            .created_before
            .map(|at| format!("created before {}", at.format("%Y-%m-%d %H:%M:%S UTC"))),
    );
    words.join(", ")
}

//! The console's view of the queue and its workers. For operators only: load figures are not public.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use serde_json::json;

use crate::caller::{Admin, Caller};
use crate::problem::Problem;
use crate::state::AppState;

pub(super) async fn status(state: Data<AppState>, _: Caller<Admin>) -> Result<HttpResponse, Problem> {
    let queue = state.dispatcher.queue();
    let stats = queue.stats().await.map_err(|error| {
        tracing::debug!(%error, "cannot read the queue's statistics");
        Problem::unavailable("The queue is unreachable at the moment.")
    })?;
    let body = json!({
        "queue": queue.name(),
        "waiting": stats.depth,
        "in_flight": stats.in_flight,
        "workers": stats.workers,
        "oldest_ms": stats.oldest_age.map(|age| age.as_millis()),
    });
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(body))
}

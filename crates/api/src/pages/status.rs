//! What the console shows of the queue and its workers. For operators: how busy the service is, is nobody else's business.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use serde_json::json;

use crate::caller::{Admin, Caller};
use crate::problem::Problem;
use crate::state::AppState;

pub(super) async fn status(state: Data<AppState>, _: Caller<Admin>) -> Result<HttpResponse, Problem> {
    let stats = state.dispatcher.queue().stats().await.map_err(|error| {
        tracing::debug!(
            %error,
            "cannot count the queue"
        );
        Problem::unavailable("The queue cannot be reached at the moment.")
    })?;
    let body = json!({
        "queue": state.dispatcher.queue().name(),
        "waiting": stats.depth,
        "in_flight": stats.in_flight,
        "workers": stats.workers,
        "oldest_ms": stats.oldest_age.map(|age| age.as_millis()),
    });
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .json(body))
}

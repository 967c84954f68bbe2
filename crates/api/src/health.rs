//! Liveness and readiness. Without Redis the service still creates orders, so it is only `degraded`.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::{Value, json};
use service::health::{self, passes};

use crate::state::AppState;

/// Liveness
#[utoipa::path(get, path = "/health", tag = "health", operation_id = "live", responses(
    (status = 200, description = "The process responds", body = Object),
), security(()))]
pub(crate) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// Readiness
///
/// Without Redis the service still creates orders; the status is then `degraded`.
#[utoipa::path(get, path = "/health/ready", tag = "health", operation_id = "ready", responses(
    (status = 200, description = "The service can create orders", body = Object),
    (status = 503, description = "PostgreSQL is unavailable, or the process is shutting down", body = Object, content_type = "application/json"),
), security(()))]
pub(crate) async fn ready(state: Data<AppState>) -> HttpResponse {
    if state.is_draining() {
        return respond("unavailable", &json!({ "shutdown": "in progress" }));
    }
    let (postgresql, redis) = tokio::join!(
        passes(state.store.ping()),
        passes(state.dispatcher.queue().ping())
    );
    let checks = json!({ "postgresql": health::status(postgresql), "redis": health::status(redis) });
    match (postgresql, redis) {
        (true, true) => respond("ok", &checks),
        (true, false) => respond("degraded", &checks),
        (false, _) => respond("unavailable", &checks),
    }
}

fn respond(status: &str, checks: &Value) -> HttpResponse {
    let body = json!({ "status": status, "checks": checks });
    if status == "unavailable" {
        HttpResponse::ServiceUnavailable().json(body)
    } else {
        HttpResponse::Ok().json(body)
    }
}

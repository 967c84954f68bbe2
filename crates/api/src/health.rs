//! Whether the process lives, and whether it can serve. Without Redis it still takes orders, so that is only `degraded`.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::{Value, json};
use service::health::{self, passes};

use crate::state::AppState;

/// Whether the process answers
#[utoipa::path(get, path = "/health", tag = "health", operation_id = "live", responses(
    (status = 200, description = "It does", body = Object),
), security(()))]
pub(crate) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// Whether the service can take orders
///
/// Without Redis it still does, and is `degraded`.
#[utoipa::path(get, path = "/health/ready", tag = "health", operation_id = "ready", responses(
    (status = 200, description = "It can", body = Object),
    (status = 503, description = "PostgreSQL is away, or the process is about to end", body = Object, content_type = "application/json"),
), security(()))]
pub(crate) async fn ready(state: Data<AppState>) -> HttpResponse {
    if state.is_draining() {
        return answer("unavailable", &json!({ "shutdown": "in progress" }));
    }
    let (postgresql, redis) = tokio::join!(
        passes(state.store.ping()),
        passes(state.dispatcher.queue().ping())
    );
    let checks = json!({ "postgresql": health::status(postgresql), "redis": health::status(redis) });
    match (postgresql, redis) {
        (true, true) => answer("ok", &checks),
        (true, false) => answer("degraded", &checks),
        (false, _) => answer("unavailable", &checks),
    }
}

fn answer(status: &str, checks: &Value) -> HttpResponse {
    let body = json!({ "status": status, "checks": checks });
    if status == "unavailable" {
        HttpResponse::ServiceUnavailable().json(body)
    } else {
        HttpResponse::Ok().json(body)
    }
}

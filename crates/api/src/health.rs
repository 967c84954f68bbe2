//! Liveness and readiness. Without Redis the service still creates orders, so it is only `degraded`. With the
//! schema of an older version it is not ready: its statements fail.

use actix_web::HttpResponse;
use actix_web::web::Data;
use serde_json::{Value, json};
use service::health::status;
use store::Schema;

use crate::state::{AppState, Servers};

/// Liveness
#[utoipa::path(get, path = "/health", tag = "health", operation_id = "live", responses(
    (status = 200, description = "The process responds", body = Object),
), security(()))]
pub(crate) async fn live() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

/// Readiness
///
/// Without Redis the service still creates orders; the status is then `degraded`. `schema` is `outdated`
/// where the database lacks a migration of this version, and `queue` is `paused` while an operator has paused
/// it, which does not make the service unready. The result is at most half a second old.
#[utoipa::path(get, path = "/health/ready", tag = "health", operation_id = "ready", responses(
    (status = 200, description = "The service can create orders", body = Object),
    (status = 503, description = "PostgreSQL is unavailable or its schema is outdated, or the process is shutting down", body = Object, content_type = "application/json"),
), security(()))]
pub(crate) async fn ready(state: Data<AppState>) -> HttpResponse {
    if state.is_draining() {
        return respond("unavailable", &json!({ "shutdown": "in progress" }));
    }
    let Servers {
        schema,
        redis,
        paused,
    } = state.servers().await;
    let checks = json!({
        "postgresql": status(schema.is_some()),
        "redis": status(redis),
        "queue": if paused { "paused" } else { "running" },
        "schema": schema.map_or(status(false), Schema::as_str),
    });
    match (schema, redis) {
        (Some(Schema::Current), true) => respond("ok", &checks),
        (Some(Schema::Current), false) => respond("degraded", &checks),
        _ => respond("unavailable", &checks),
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

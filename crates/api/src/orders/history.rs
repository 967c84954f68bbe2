//! `GET /api/orders/{id}/history`: the transitions of an order.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use domain::OrderId;
use serde::Serialize;
use store::{History, Transition};
use utoipa::ToSchema;

use super::read::{CACHE_CONTROL, JSON};
use super::representation::rfc3339;
use crate::caller::{Caller, Read};
use crate::etag;
use crate::problem::Problem;
use crate::state::AppState;

/// The transitions of an order, oldest first.
#[derive(Serialize, ToSchema)]
#[schema(as = OrderHistory, example = json!({ "data": [
    { "at": "2026-11-27T09:00:00.000000Z", "from": null, "to": "pending", "attempt": 0,
        "actor": "customer:ada", "reason": null, "trace_id": "0af7651916cd43dd8448eb211c80319c" },
    { "at": "2026-11-27T09:00:00.012000Z", "from": "pending", "to": "processing", "attempt": 1,
        "actor": "worker:throughline-worker-7-1", "reason": null, "trace_id": "0af7651916cd43dd8448eb211c80319c" },
    { "at": "2026-11-27T09:00:00.250000Z", "from": "processing", "to": "failed", "attempt": 1,
        "actor": "worker:throughline-worker-7-1", "reason": "card_declined",
        "trace_id": "0af7651916cd43dd8448eb211c80319c" },
    { "at": "2026-11-27T10:00:00.000000Z", "from": "failed", "to": "pending", "attempt": 1,
        "actor": "operator:grace", "reason": null, "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736" },
] }))]
struct HistoryBody {
    data: Vec<TransitionBody>,
    /// Present if some are missing: there were too many, or another release made them.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    incomplete: bool,
}

/// A change of an order's status.
#[derive(Serialize, ToSchema)]
#[schema(as = HistoryEntry)]
struct TransitionBody {
    #[schema(format = DateTime)]
    at: String,
    /// The status before it; null for the creation, and where it is unknown.
    #[schema(required)]
    from: Option<String>,
    /// The status after it.
    to: String,
    /// The number of the latest attempt; 0 before the first.
    attempt: i32,
    /// `customer:<sub>`, `operator:<sub>`, `worker:<name>` or `system`.
    actor: String,
    /// A failure code; or `lease_expired`, `released`, `unreadable`. More may follow.
    #[schema(required)]
    reason: Option<String>,
    /// The trace in which it was made.
    #[schema(required)]
    trace_id: Option<String>,
}

impl From<History> for HistoryBody {
    fn from(history: History) -> Self {
        Self {
            data: history
                .transitions
                .into_iter()
                .map(TransitionBody::from)
                .collect(),
            incomplete: history.incomplete,
        }
    }
}

impl From<Transition> for TransitionBody {
    fn from(transition: Transition) -> Self {
        Self {
            at: rfc3339(transition.at),
            from: transition.from,
            to: transition.to,
            attempt: transition.attempt,
            actor: transition.actor,
            reason: transition.reason,
            trace_id: transition.trace_id,
        }
    }
}

/// Read when an order changed its status, who changed it, and why
///
/// Every transition from the order's creation to its present status, oldest first.
#[utoipa::path(get, path = "/api/orders/{id}/history", tag = "orders", operation_id = "readHistory",
    params(
        ("id" = uuid::Uuid, Path, description = "The order's id"),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the client has"),
    ),
    responses(
        (status = 200, description = "The history as it is now", body = HistoryBody, headers(
            ("ETag" = String, description = "Changes with the history"),
        )),
        (status = 304, description = "The client has the current representation"),
        (status = 404, description = "The order does not exist, or is another customer's"),
    ),
    security(("bearer" = ["orders:read"])))]
pub(crate) async fn history(
    request: HttpRequest,
    state: Data<AppState>,
    caller: Caller<Read>,
    id: Path<OrderId>,
) -> Result<HttpResponse, Problem> {
    let history = state.store.history(*id, caller.owner_filter()).await?;
    let history = history.ok_or_else(Problem::order_not_found)?;
    telemetry::span::set("order.id", id.to_string());
    let body = serde_json::to_vec(&HistoryBody::from(history)).map_err(|error| Problem::internal(&error))?;
    state.hold(&request, caller.limited(), body.len())?;
    let tag = etag::of(&body);
    Ok(etag::respond(&request, tag, JSON, body.into(), |response| {
        response.insert_header(CACHE_CONTROL);
    }))
}

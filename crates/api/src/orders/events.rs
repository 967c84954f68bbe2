//! `GET /api/orders/{id}/events`: streams the order's events until it is final.

use actix_web::web::{Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use domain::OrderId;
use futures_util::StreamExt;

use crate::caller::{Caller, Read};
use crate::events::{LAST_EVENT_ID, event_id, respond, stream};
use crate::problem::Problem;
use crate::state::AppState;

/// What is limited, for a client that has too many.
pub(super) const STREAMS: &str = "event streams and waits";

/// Follow an order to its final state
///
/// Server-sent events, one per transition; the stream ends after the final one, or when the token expires. A
/// client that reconnects with the id of the last event that it saw gets only newer events.
#[utoipa::path(get, path = "/api/orders/{id}/events", tag = "orders", operation_id = "followOrder",
    params(
        ("id" = uuid::Uuid, Path, description = "The order's id"),
        ("Last-Event-ID" = Option<i64>, Header, description = "The id of the last event seen"),
    ),
    responses(
        (status = 200, description = "Events; the data of each is a Transition", body = ref("#/components/schemas/Event"), content_type = "text/event-stream"),
        (status = 204, description = "The order is final, and the client has seen the final event"),
        (status = 404, description = "The order does not exist, or is another customer's"),
    ),
    security(("bearer" = ["orders:read"])))]
pub(crate) async fn events(
    request: HttpRequest,
    state: Data<AppState>,
    caller: Caller<Read>,
    id: Path<OrderId>,
) -> Result<HttpResponse, Problem> {
    let seen = last_event_id(&request)?;
    let reserved = state.streams.reserve(caller.limited(), 1);
    let reservation = reserved.map_err(|exceeded| exceeded.problem(STREAMS))?;
    let events = state.hub.subscribe(*id);
    let order = state.store.find(*id, caller.owner_filter()).await?;
    let order = order.ok_or_else(Problem::order_not_found)?;
    telemetry::span::set("order.id", order.id.to_string());
    if order.status.is_final() && seen == Some(event_id(order.updated_at)) {
        // 204 stops an EventSource from reconnecting.
        return Ok(HttpResponse::NoContent().finish());
    }
    let events = stream(&order, seen, events).take_until(Box::pin(caller.expired()));
    Ok(respond(&request, reservation, events))
}

fn last_event_id(request: &HttpRequest) -> Result<Option<i64>, Problem> {
    let Some(value) = request.headers().get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    let id =
        id.ok_or_else(|| Problem::bad_request("Last-Event-ID takes the id of an event of this stream."))?;
    Ok(Some(id))
}

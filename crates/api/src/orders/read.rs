//! `GET /api/orders/{id}`: responds at once or, with `?wait=`, as soon as the order is final.

use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use domain::OrderId;
use serde::Deserialize;

use super::events::STREAMS;
use super::representation::OrderBody;
use crate::caller::{Caller, Read};
use crate::deadline::Deadline;
use crate::etag;
use crate::problem::Problem;
use crate::query;
use crate::state::AppState;

/// Revalidate every time, and not in shared caches: an order belongs to one customer and may change at any
/// time.
pub(super) const CACHE_CONTROL: (header::HeaderName, &str) = (header::CACHE_CONTROL, "private, no-cache");
pub(super) const JSON: &str = "application/json";

/// Below the 60 seconds after which nginx ends a request by default.
const WAIT_SECONDS: std::ops::RangeInclusive<u32> = 0..=50;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadQuery {
    wait: Option<String>,
}

/// Read an order, at once or as soon as it is final
#[utoipa::path(get, path = "/api/orders/{id}", tag = "orders", operation_id = "readOrder",
    params(
        ("id" = uuid::Uuid, Path, description = "The order's id"),
        ("wait" = Option<u32>, Query, description = "Seconds to wait for a final state", minimum = 0, maximum = 50),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the client has"),
    ),
    responses(
        (status = 200, description = "The order as it is now", body = OrderBody, headers(
            ("ETag" = String, description = "Changes with the order"),
        )),
        (status = 304, description = "The client has the current representation"),
        (status = 404, description = "The order does not exist, or is another customer's"),
    ),
    security(("bearer" = ["orders:read"])))]
pub(crate) async fn read(
    request: HttpRequest,
    state: Data<AppState>,
    caller: Caller<Read>,
    id: Path<OrderId>,
    query: Query<ReadQuery>,
) -> Result<HttpResponse, Problem> {
    let wait = query::number("wait", query.wait.as_deref(), WAIT_SECONDS)?.unwrap_or(0);
    let find = async || {
        let order = state.store.find(*id, caller.owner_filter()).await?;
        order.ok_or_else(Problem::order_not_found)
    };
    let wait = Duration::from_secs(wait.into());
    let events = if wait.is_zero() {
        None
    } else {
        let reserved = state.streams.reserve(caller.limited(), 1);
        let reservation = reserved.map_err(|exceeded| exceeded.problem(STREAMS))?;
        Deadline::extend(&request, wait);
        Some((state.hub.subscribe(*id), reservation))
    };
    let mut order = find().await?;
    telemetry::span::set("order.id", order.id.to_string());
    if let Some((mut events, _reservation)) = events
        && !order.status.is_final()
    {
        // In each case the response is the order's present state.
        tokio::select! {
            () = events.until_final() => {}
            () = tokio::time::sleep(wait) => {}
            () = caller.expired() => {}
        }
        order = find().await?;
    }
    let body = serde_json::to_vec(&OrderBody::from(order)).map_err(|error| Problem::internal(&error))?;
    state.hold(&request, caller.limited(), body.len())?;
    Ok(etag::respond(
        &request,
        etag::of(&body),
        JSON,
        body.into(),
        |response| {
            response.insert_header(CACHE_CONTROL);
        },
    ))
}

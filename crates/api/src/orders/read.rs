//! `GET /api/orders/{id}`, at once or, with `?wait=`, as soon as the order is final.

use std::time::Duration;

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use domain::OrderId;
use serde::Deserialize;

use super::body::OrderBody;
use super::etag;
use crate::caller::{Caller, Read};
use crate::deadline::Deadline;
use crate::problem::Problem;
use crate::query;
use crate::state::AppState;

/// How long a client may wait, in seconds: less than proxies usually allow.
const WAIT: std::ops::RangeInclusive<u32> = 0..=50;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReadQuery {
    wait: Option<String>,
}

/// Read an order, at once or as soon as it is final
#[utoipa::path(get, path = "/api/orders/{id}", tag = "orders", operation_id = "readOrder",
    params(
        ("id" = uuid::Uuid, Path, description = "The order's id"),
        ("wait" = Option<u32>, Query, description = "Wait up to so many seconds for a final state", minimum = 0, maximum = 50),
        ("If-None-Match" = Option<String>, Header, description = "Entity tags that the client has"),
    ),
    responses(
        (status = 200, description = "The order as it is now", body = OrderBody, headers(
            ("ETag" = String, description = "Changes with the order"),
        )),
        (status = 304, description = "The client has the order as it is"),
        (status = 404, description = "There is no such order, or it is another customer's"),
    ),
    security(("bearer" = ["orders:read"])))]
pub(crate) async fn read(
    request: HttpRequest,
    state: Data<AppState>,
    caller: Caller<Read>,
    id: Path<OrderId>,
    query: Query<ReadQuery>,
) -> Result<HttpResponse, Problem> {
    let wait = query::number("wait", query.wait.as_deref(), WAIT)?.unwrap_or(0);
    let find = async || {
        let order = state.store.find(*id, caller.sees()).await?;
        order.ok_or_else(Problem::order_not_found)
    };
    let wait = Duration::from_secs(wait.into());
    let transitions = (!wait.is_zero()).then(|| {
        Deadline::extend(&request, wait);
        state.hub.subscribe(*id)
    });
    let mut order = find().await?;
    telemetry::span::set("order.id", order.id.to_string());
    if let Some(mut transitions) = transitions
        && !order.status.is_final()
    {
        // In time or not: the answer is the order as it is then.
        let _ = tokio::time::timeout(wait, transitions.until_final()).await;
        order = find().await?;
    }
    etag::answer(&request, &OrderBody::from(order))
}

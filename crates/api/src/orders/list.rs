//! `GET /api/orders?status=&limit=&cursor=`: newest first. Pages are stable while orders are created: the
//! keyset is the id.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Query};
use domain::{Order, OrderStatus};
use serde::{Deserialize, Serialize};
use store::UnreadableOrder;
use utoipa::ToSchema;

use super::cursor::Cursor;
use super::representation::OrderBody;
use crate::caller::{Caller, Read};
use crate::metrics;
use crate::problem::Problem;
use crate::query;
use crate::schema::Status;
use crate::state::AppState;

const LIMIT: std::ops::RangeInclusive<u32> = 1..=100;
const DEFAULT_LIMIT: u32 = 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    status: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// A page of orders, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Page {
    data: Vec<OrderBody>,
    /// The cursor of the next page; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// List orders, newest first
///
/// Pages are stable while orders are created. The next page is in the Link header; its cursor is
/// `next_cursor`. While a newer version is being deployed, a page may leave out orders that only that version
/// can read.
#[utoipa::path(get, path = "/api/orders", tag = "orders", operation_id = "listOrders",
    params(
        ("status" = Option<Status>, Query, description = "Only orders with this status"),
        ("limit" = Option<u32>, Query, description = "Orders per page", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the previous page", pattern = "^[A-Za-z0-9_-]{21}[AQgw]$"),
    ),
    responses((status = 200, description = "A page", body = Page, headers(
        ("Link" = Option<String>, description = "The next page, as `rel=\"next\"`, if there is one"),
    ))),
    security(("bearer" = ["orders:read"])))]
pub(crate) async fn list(
    state: Data<AppState>,
    caller: Caller<Read>,
    query: Query<ListQuery>,
) -> Result<HttpResponse, Problem> {
    let statuses: Vec<_> = OrderStatus::ALL.iter().map(|status| status.as_str()).collect();
    let takes = format!("one of {}", statuses.join(", "));
    let status = query::parameter("status", query.status.as_deref(), &takes)?;
    let limit = query::number("limit", query.limit.as_deref(), LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    let takes = "the next_cursor of the previous page";
    let after: Option<Cursor> = query::parameter("cursor", query.cursor.as_deref(), takes)?;

    // One more than requested shows whether there is another page.
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let (after, rows) = (after.map(Cursor::order), page.saturating_add(1));
    let orders = state.store.list(caller.owner_filter(), status, after, rows);
    let mut orders = orders.await?;
    let more = orders.len() > page;
    orders.truncate(page);
    let last = orders.last().filter(|_| more);
    let next_cursor = last.map(|last| {
        let id = last
            .as_ref()
            .map_or_else(|unreadable| unreadable.id, |order| order.id);
        Cursor::after(id).to_string()
    });

    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "private, no-store"));
    if let Some(cursor) = &next_cursor {
        response.insert_header((header::LINK, next_link(status, limit, cursor)));
    }
    let data = orders.into_iter().filter_map(readable).collect();
    Ok(response.json(Page { data, next_cursor }))
}

/// An order of another version hides no other.
fn readable(order: Result<Order, UnreadableOrder>) -> Option<OrderBody> {
    let readable = order.inspect_err(|error| {
        metrics::order_unreadable();
        tracing::warn!(order.id = %error.id, %error, "this version cannot list an order");
    });
    readable.ok().map(OrderBody::from)
}

/// The next page of the same query (RFC 8288).
fn next_link(status: Option<OrderStatus>, limit: u32, cursor: &str) -> String {
    let status = status.map_or_else(String::new, |status| format!("status={status}&"));
    format!("</api/orders?{status}limit={limit}&cursor={cursor}>; rel=\"next\"")
}

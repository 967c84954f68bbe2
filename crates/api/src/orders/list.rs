//! `GET /api/orders?status=&limit=&cursor=`: newest first, by keyset on the id, so that pages stay put while orders come in.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Query};
use domain::OrderStatus;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::body::OrderBody;
use super::cursor::Cursor;
use crate::caller::{Caller, Read};
use crate::openapi::Status;
use crate::problem::Problem;
use crate::query;
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
    /// Where the next page begins; null on the last.
    #[schema(required, value_type = Option<String>)]
    next_cursor: Option<Cursor>,
}

/// List orders, newest first
///
/// Pages stay put while orders come in. The next one is in the Link header, and begins at `next_cursor`.
#[utoipa::path(get, path = "/api/orders", tag = "orders", operation_id = "listOrders",
    params(
        ("status" = Option<Status>, Query, description = "Only orders of this status"),
        ("limit" = Option<u32>, Query, description = "Orders a page", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the page before", pattern = "^[A-Za-z0-9_-]{21}[AQgw]$"),
    ),
    responses((status = 200, description = "A page", body = Page, headers(
        ("Link" = Option<String>, description = "The next page, as `rel=\"next\"`, where there is one"),
    ))),
    security(("bearer" = ["orders:read"])))]
pub(crate) async fn list(
    state: Data<AppState>,
    caller: Caller<Read>,
    query: Query<ListQuery>,
) -> Result<HttpResponse, Problem> {
    let words = OrderStatus::ALL.iter().map(|status| status.as_str());
    let words = format!("one of {}", words.collect::<Vec<_>>().join(", "));
    let status = query::parameter("status", query.status.as_deref(), &words)?;
    let limit = query::number("limit", query.limit.as_deref(), LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    let after: Option<Cursor> = query::parameter(
        "cursor",
        query.cursor.as_deref(),
        "the next_cursor of the page before",
    )?;

    // One more than asked for tells whether there is another page.
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut orders = state
        .store
        .list(
            caller.sees(),
            status,
            after.map(Cursor::order),
            page.saturating_add(1),
        )
        .await?;
    let more = orders.len() > page;
    orders.truncate(page);
    let next_cursor = orders.last().filter(|_| more).map(|last| Cursor::after(last.id));

    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "private, no-store"));
    if let Some(cursor) = next_cursor {
        response.insert_header((header::LINK, next_link(status, limit, cursor)));
    }
    let data = orders.into_iter().map(OrderBody::from).collect();
    Ok(response.json(Page { data, next_cursor }))
}

/// The next page of the same query (RFC 8288).
fn next_link(status: Option<OrderStatus>, limit: u32, cursor: Cursor) -> String {
    let status = status.map_or_else(String::new, |status| format!("status={status}&"));
    format!("</api/orders?{status}limit={limit}&cursor={cursor}>; rel=\"next\"")
}

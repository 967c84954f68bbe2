//! `GET /api/orders`: by creation, with filters. Pages are stable while orders are created: the keyset is
//! the id.

use actix_web::http::header;
use actix_web::web::{Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use domain::Order;
use serde::Deserialize;
use store::{Sort, UnreadableOrder};
use utoipa::ToSchema;

use super::cursor::Cursor;
use super::representation::OrderBody;
use crate::caller::{Caller, Read};
use crate::filter::{self, Filter};
use crate::metrics;
use crate::problem::Problem;
use crate::query;
use crate::schema::{PaymentState, Status};
use crate::state::AppState;

const LIMIT: std::ops::RangeInclusive<u32> = 1..=100;
const DEFAULT_LIMIT: u32 = 20;
/// A page ends before the order with which its body would have more bytes. It has at least one order.
const PAGE_BYTES: usize = 256 * 1024;

/// Not flattened: serde then gives every field as text, and does not find a repeated one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    status: Option<String>,
    payment_status: Option<String>,
    failure_code: Option<String>,
    created_after: Option<String>,
    created_before: Option<String>,
    customer: Option<String>,
    sort: Option<String>,
    limit: Option<String>,
    cursor: Option<String>,
}

/// A page of orders.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only a schema: the body is written order by order")]
pub(super) struct Page {
    data: Vec<OrderBody>,
    /// The cursor of the next page; null on the last.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// List orders by creation, newest first
///
/// Pages are stable while orders are created. A page ends early when its orders reach 256 KiB.
/// The next page is in the Link header; its cursor is
/// `next_cursor`. While a newer version is being deployed, a page may leave out orders that only that version
/// can read.
#[utoipa::path(get, path = "/api/orders", tag = "orders", operation_id = "listOrders",
    params(
        ("status" = Option<Status>, Query, description = "Only orders with this status"),
        ("payment_status" = Option<PaymentState>, Query, description = "Only orders whose payment has this status"),
        ("failure_code" = Option<String>, Query, description = "Only orders that failed, or whose last attempt failed, with this code; newer versions have other codes", pattern = "^[a-z0-9_]{1,64}$"),
        ("created_after" = Option<String>, Query, format = DateTime, description = "Only orders created at this time or later"),
        ("created_before" = Option<String>, Query, format = DateTime, description = "Only orders created before this time"),
        ("customer" = Option<String>, Query, description = "Only orders of this customer; for operators", pattern = "^[ -~]{1,255}$"),
        ("sort" = Option<String>, Query, description = "By creation: oldest first, or newest first, which is the default", pattern = "^-?created_at$"),
        ("limit" = Option<u32>, Query, description = "Orders per page", minimum = 1, maximum = 100),
        ("cursor" = Option<String>, Query, description = "The `next_cursor` of the previous page of the same `sort`", pattern = "^[A-Za-z0-9_-]{21}[AQgw]$"),
    ),
    responses((status = 200, description = "A page", body = Page, headers(
        ("Link" = Option<String>, description = "The next page, as `rel=\"next\"`, if there is one"),
    ))),
    security(("bearer" = ["orders:read"])))]
pub(crate) async fn list(
    request: HttpRequest,
    state: Data<AppState>,
    caller: Caller<Read>,
    query: Query<ListQuery>,
) -> Result<HttpResponse, Problem> {
    let query = query.into_inner();
    let filter = filter::of_query(
        Filter {
            status: query.status,
            payment_status: query.payment_status,
            failure_code: query.failure_code,
            created_after: query.created_after,
            created_before: query.created_before,
            customer: query.customer,
        },
        &caller,
    )?;
    let sort = sort(query.sort.as_deref())?;
    let limit = query::number("limit", query.limit.as_deref(), LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    let takes = "the next_cursor of the previous page";
    let after: Option<Cursor> = query::parameter("cursor", query.cursor.as_deref(), takes)?;

    // One more than requested shows whether there is another page.
    let page = usize::try_from(limit).unwrap_or(usize::MAX);
    let (after, rows) = (after.map(Cursor::order), page.saturating_add(1));
    let mut orders = state.store.list(&filter, sort, after, rows).await?;
    let more = orders.len() > page;
    orders.truncate(page);
    let page = written(orders, more).map_err(|error| Problem::internal(&error))?;
    state.hold(&request, caller.limited(), page.body.len())?;

    let mut response = HttpResponse::Ok();
    response.insert_header((header::CACHE_CONTROL, "private, no-store"));
    if let Some(cursor) = page.next {
        response.insert_header((header::LINK, next_link(request.query_string(), limit, cursor)));
    }
    Ok(response.content_type(header::ContentType::json()).body(page.body))
}

/// A leading minus, as in JSON:API, is descending.
fn sort(parameter: Option<&str>) -> Result<Sort, Problem> {
    match parameter {
        None | Some("-created_at") => Ok(Sort::NewestFirst),
        Some("created_at") => Ok(Sort::OldestFirst),
        Some(_) => Err(Problem::bad_request("`sort` takes created_at or -created_at.")),
    }
}

struct Written {
    body: Vec<u8>,
    next: Option<Cursor>,
}

/// The page of these orders, or of the first ones; `more` says that others follow.
fn written(
    orders: Vec<Result<Order, UnreadableOrder>>,
    mut more: bool,
) -> Result<Written, serde_json::Error> {
    let mut body = b"{\"data\":[".to_vec();
    let (start, mut last) = (body.len(), None);
    for order in orders {
        let id = order
            .as_ref()
            .map_or_else(|unreadable| unreadable.id, |order| order.id);
        let end = body.len();
        if let Some(order) = readable(order) {
            if end > start {
                body.push(b',');
            }
            serde_json::to_writer(&mut body, &order)?;
        }
        if body.len() > PAGE_BYTES && end > start {
            body.truncate(end);
            more = true;
            break;
        }
        last = Some(id);
    }
    let next = last.filter(|_| more).map(Cursor::after);
    body.extend_from_slice(b"],\"next_cursor\":");
    serde_json::to_writer(&mut body, &next.map(|cursor| cursor.to_string()))?;
    body.push(b'}');
    Ok(Written { body, next })
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
fn next_link(query: &str, limit: u32, cursor: Cursor) -> String {
    let filters = query.split('&').filter(|parameter| {
        let name = parameter.split('=').next().unwrap_or_default();
        !parameter.is_empty() && !["limit", "cursor"].contains(&name)
    });
    let filters: String = filters.map(|filter| format!("{}&", safe(filter))).collect();
    format!("</api/orders?{filters}limit={limit}&cursor={cursor}>; rel=\"next\"")
}

/// Characters that would end the link's target are encoded.
fn safe(parameter: &str) -> String {
    let encode = |c: char| match c {
        '<' => "%3C".to_owned(),
        '>' => "%3E".to_owned(),
        c if c.is_ascii_graphic() => c.to_string(),
        _ => String::new(),
    };
    parameter.chars().map(encode).collect()
}

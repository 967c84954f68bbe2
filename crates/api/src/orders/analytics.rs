//! `GET /api/orders/analytics`: totals, and count and sum by status and currency. Cached per owner.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use domain::OrderStatus;
use serde::Serialize;
use store::StatusTotal;
use utoipa::ToSchema;

use crate::caller::{Caller, Read};
use crate::problem::Problem;
use crate::state::AppState;

/// Counting reads every order, so the response is cached.
const CACHE_TTL: Duration = Duration::from_secs(5);

/// Totals of the caller's own orders; for an admin, of all orders.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Analytics {
    total_orders: i64,
    pending_orders: i64,
    by_status: Vec<Row>,
}

/// Count and sum of the orders of one status and currency.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StatusTotal)]
struct Row {
    /// One of OrderStatus, or of a newer version.
    status: String,
    currency: &'static str,
    count: i64,
    amount: String,
}

/// Totals, and count and sum by status and currency
///
/// Of the caller's own orders; for an admin, of all orders. At most 5 seconds old.
#[utoipa::path(get, path = "/api/orders/analytics", tag = "orders", operation_id = "analytics", responses(
    (status = 200, description = "The totals", body = Analytics),
), security(("bearer" = ["orders:read"])))]
pub(crate) async fn analytics(state: Data<AppState>, caller: Caller<Read>) -> Result<HttpResponse, Problem> {
    let key = match caller.owner_filter() {
        Some(customer) => format!("analytics:of:{}", customer.as_str()),
        None => "analytics:all".to_owned(),
    };
    if let Some(body) = state.cache.get(&key).await {
        return Ok(respond(body));
    }
    let analytics = Analytics::from(state.store.totals(caller.owner_filter()).await?);
    telemetry::span::set("analytics.total_orders", analytics.total_orders);
    telemetry::span::set("analytics.pending_orders", analytics.pending_orders);
    let body = serde_json::to_string(&analytics).map_err(|error| Problem::internal(&error))?;
    state.cache.set(&key, &body, CACHE_TTL).await;
    Ok(respond(body))
}

fn respond(body: String) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "private, no-store"))
        .content_type(header::ContentType::json())
        .body(body)
}

impl From<Vec<StatusTotal>> for Analytics {
    fn from(totals: Vec<StatusTotal>) -> Self {
        let count =
            |of: &dyn Fn(&&StatusTotal) -> bool| totals.iter().filter(of).map(|total| total.count).sum();
        Self {
            total_orders: count(&|_| true),
            pending_orders: count(&|total| total.status == OrderStatus::Pending.as_str()),
            by_status: totals.into_iter().map(Row::from).collect(),
        }
    }
}

impl From<StatusTotal> for Row {
    fn from(total: StatusTotal) -> Self {
        Self {
            status: total.status,
            currency: total.sum.currency().code(),
            count: total.count,
            amount: total.sum.to_string(),
        }
    }
}

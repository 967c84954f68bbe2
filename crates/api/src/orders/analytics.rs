//! `GET /api/orders/analytics`: totals, and count and sum by status and currency. Cached per owner; requests
//! at the same time share one count.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Data;
use domain::{Currency, Money, OrderStatus};
use serde::Serialize;
use store::StatusTotal;
use utoipa::ToSchema;

use crate::caller::{Caller, Read};
use crate::problem::Problem;
use crate::state::AppState;

/// Counting reads every order of the customer.
const CACHE_TTL: Duration = Duration::from_secs(5);
/// Those of all orders are up to 3 s old already.
const CACHE_TTL_OF_ALL: Duration = Duration::from_secs(2);

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
    /// ISO 4217 code; another version may know others.
    currency: String,
    count: i64,
    /// The sum of the amounts; null if this version does not know the currency's decimals.
    #[schema(required = true)]
    amount: Option<String>,
}

/// Totals, and count and sum by status and currency
///
/// Of the caller's own orders; for an admin, of all orders. At most 5 seconds old.
#[utoipa::path(get, path = "/api/orders/analytics", tag = "orders", operation_id = "analytics", responses(
    (status = 200, description = "The totals", body = Analytics),
), security(("bearer" = ["orders:read"])))]
pub(crate) async fn analytics(state: Data<AppState>, caller: Caller<Read>) -> Result<HttpResponse, Problem> {
    let owner = caller.owner_filter();
    let (key, ttl) = match owner {
        Some(customer) => (format!("analytics:of:{}", customer.as_str()), CACHE_TTL),
        None => ("analytics:all".to_owned(), CACHE_TTL_OF_ALL),
    };
    let count = async {
        if let Some(body) = state.cache.get(&key).await {
            return Ok(body);
        }
        let analytics = Analytics::from(state.store.totals(owner).await?);
        telemetry::span::set("analytics.total_orders", analytics.total_orders);
        telemetry::span::set("analytics.pending_orders", analytics.pending_orders);
        let body = serde_json::to_string(&analytics).map_err(|error| Problem::internal(&error))?;
        state.cache.set(&key, &body, ttl).await;
        Ok::<_, Problem>(body)
    };
    state.totals_in_flight.run(&key, count).await.map(respond)
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
        let sum = Currency::from_code(&total.currency)
            .and_then(|currency| Money::from_minor(total.sum, currency).ok());
        Self {
            status: total.status,
            currency: total.currency,
            count: total.count,
            amount: sum.map(|sum| sum.to_string()),
        }
    }
}

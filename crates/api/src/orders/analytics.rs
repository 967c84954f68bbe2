//! `GET /api/orders/analytics`: totals, and count and sum by status and currency, at most 5 s old.

use actix_web::HttpResponse;
use actix_web::web::Data;
use domain::{CustomerId, OrderStatus};
use serde::{Deserialize, Serialize};
use store::StatusTotal;

use crate::caller::{Caller, Read};
use crate::problem::Problem;
use crate::state::AppState;

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Analytics {
    total_orders: i64,
    pending_orders: i64,
    by_status: Vec<Row>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    status: OrderStatus,
    currency: String,
    count: i64,
    amount: String,
}

pub(crate) async fn analytics(
    state: Data<AppState>,
    caller: Caller<Read>,
) -> Result<HttpResponse, Problem> {
    let analytics = match state.analytics.get(caller.sees()).await {
        Some(analytics) => analytics,
        None => count(&state, caller.sees()).await?,
    };
    telemetry::span::set("analytics.total_orders", analytics.total_orders);
    telemetry::span::set("analytics.pending_orders", analytics.pending_orders);
    Ok(HttpResponse::Ok().json(analytics))
}

async fn count(state: &AppState, customer: Option<&CustomerId>) -> Result<Analytics, Problem> {
    let analytics = Analytics::from(state.store.totals(customer).await?);
    state.analytics.set(customer, &analytics).await;
    Ok(analytics)
}

impl From<Vec<StatusTotal>> for Analytics {
    fn from(totals: Vec<StatusTotal>) -> Self {
        let count = |of: &dyn Fn(&&StatusTotal) -> bool| {
            totals.iter().filter(of).map(|total| total.count).sum()
        };
        Self {
            total_orders: count(&|_| true),
            pending_orders: count(&|total| total.status == OrderStatus::Pending),
            by_status: totals.into_iter().map(Row::from).collect(),
        }
    }
}

impl From<StatusTotal> for Row {
    fn from(total: StatusTotal) -> Self {
        Self {
            status: total.status,
            currency: total.sum.currency().code().to_owned(),
            count: total.count,
            amount: total.sum.to_string(),
        }
    }
}

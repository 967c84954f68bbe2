//! `GET /api/orders?status=&limit=&cursor=`: newest first, by keyset on the id, so that pages stay put while orders come in.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::{Data, Query};
use domain::{OrderId, OrderStatus};
use serde::{Deserialize, Serialize};

use super::body::OrderBody;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::state::AppState;

const LIMIT: std::ops::RangeInclusive<i64> = 1..=100;
const DEFAULT_LIMIT: i64 = 20;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListQuery {
    status: Option<OrderStatus>,
    limit: Option<i64>,
    cursor: Option<OrderId>,
}

#[derive(Debug, Serialize)]
struct Page {
    data: Vec<OrderBody>,
    next_cursor: Option<OrderId>,
}

pub(crate) async fn list(
    state: Data<AppState>,
    caller: Caller,
    query: Query<ListQuery>,
) -> Result<HttpResponse, Problem> {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT);
    if !LIMIT.contains(&limit) {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "A limit is 1 to 100.",
        ));
    }
    // One more than asked for tells whether there is another page.
    let mut orders = state
        .store
        .list(caller.sees(), query.status, query.cursor, limit + 1)
        .await?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = orders.len() > limit;
    orders.truncate(limit);
    let next_cursor = orders.last().filter(|_| more).map(|last| last.id);
    let data = orders.into_iter().map(OrderBody::from).collect();
    Ok(HttpResponse::Ok().json(Page { data, next_cursor }))
}

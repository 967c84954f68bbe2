//! `GET /api/orders/{id}`.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::OrderId;

use super::body::OrderBody;
use crate::caller::{Caller, Read};
use crate::problem::Problem;
use crate::state::AppState;

pub(crate) async fn read(
    state: Data<AppState>,
    caller: Caller<Read>,
    id: Path<OrderId>,
) -> Result<HttpResponse, Problem> {
    let order = state.store.find(*id, caller.sees()).await?;
    let order = order.ok_or_else(Problem::order_not_found)?;
    Ok(HttpResponse::Ok().json(OrderBody::from(order)))
}

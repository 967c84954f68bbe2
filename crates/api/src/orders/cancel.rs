//! `DELETE /api/orders/{id}`: only an order that no worker has taken can be cancelled.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::OrderId;
use store::Changed;

use crate::caller::{Caller, Write};
use crate::metrics;
use crate::problem::Problem;
use crate::state::AppState;

/// Cancel an order that no worker has taken
#[utoipa::path(delete, path = "/api/orders/{id}", tag = "orders", operation_id = "cancelOrder",
    params(("id" = uuid::Uuid, Path, description = "The order's id")),
    responses(
        (status = 204, description = "The order was pending, and is cancelled now"),
        (status = 404, description = "There is no such order, or it is another customer's"),
        (status = 409, description = "The order is not pending any more"),
    ),
    security(("bearer" = ["orders:write"])))]
pub(crate) async fn cancel(
    state: Data<AppState>,
    caller: Caller<Write>,
    id: Path<OrderId>,
) -> Result<HttpResponse, Problem> {
    match state.store.cancel(*id, caller.sees()).await? {
        Changed::Done(order) => {
            state.publisher.publish(&order);
            telemetry::span::set("order.id", order.id.to_string());
            telemetry::span::set("order.status", order.status.as_str());
            metrics::order_cancelled();
            tracing::info!(order.id = %order.id, "order cancelled");
            Ok(HttpResponse::NoContent().finish())
        }
        Changed::NotFound => Err(Problem::order_not_found()),
        Changed::Impossible(impossible) => Err(impossible.into()),
    }
}

//! `DELETE /api/orders/{id}`: cancels an order that no worker has claimed.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path};
use domain::{Actor, CustomerId, OrderId};
use store::Changed;

use crate::caller::{Caller, Write};
use crate::metrics;
use crate::problem::Problem;
use crate::state::AppState;

/// Name of the event.
const ORDER_CANCELLED: &str = "order.cancelled";

/// Cancel an order that no worker has claimed
#[utoipa::path(delete, path = "/api/orders/{id}", tag = "orders", operation_id = "cancelOrder",
    params(("id" = uuid::Uuid, Path, description = "The order's id")),
    responses(
        (status = 204, description = "The order was pending and is cancelled now"),
        (status = 404, description = "The order does not exist, or is another customer's"),
        (status = 409, description = "The order is no longer pending"),
    ),
    security(("bearer" = ["orders:write"])))]
pub(crate) async fn cancel(
    state: Data<AppState>,
    caller: Caller<Write>,
    id: Path<OrderId>,
) -> Result<HttpResponse, Problem> {
    apply(&state, *id, caller.owner_filter(), &caller.actor()).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Cancels the order, of this owner if there is one, and publishes its event.
pub(crate) async fn apply(
    state: &AppState,
    id: OrderId,
    owner: Option<&CustomerId>,
    actor: &Actor,
) -> Result<(), Problem> {
    match state.store.cancel(id, owner, actor).await? {
        Changed::Done(order) => {
            state.publisher.publish(&order);
            telemetry::span::set("order.id", order.id.to_string());
            telemetry::span::set("order.status", order.status.as_str());
            metrics::order_cancelled();
            tracing::info!(
                name: ORDER_CANCELLED,
                { order.id = %order.id, order.actor = %actor },
                "order cancelled"
            );
            Ok(())
        }
        Changed::DoneUnreadable => {
            metrics::order_cancelled();
            metrics::order_unreadable();
            tracing::warn!(
                name: ORDER_CANCELLED,
                { order.id = %id, order.actor = %actor },
                "order cancelled; its row is of another version and cannot be read"
            );
            Ok(())
        }
        Changed::NotFound => Err(Problem::order_not_found()),
        Changed::Impossible(impossible) => Err(impossible.into()),
    }
}

//! `POST /api/orders/{id}/retry`: an operator sends a failed order back, with the attempts of a new one.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Path};
use domain::{Actor, Order, OrderId};
use store::Changed;

use super::enqueue;
use super::representation::OrderBody;
use crate::caller::{Admin, Caller};
use crate::metrics;
use crate::problem::Problem;
use crate::state::AppState;

/// Name of the event.
const ORDER_RETRIED: &str = "order.retried";

/// Retry a failed order, with as many attempts as a new one has
#[utoipa::path(post, path = "/api/orders/{id}/retry", tag = "orders", operation_id = "retryOrder",
    params(("id" = uuid::Uuid, Path, description = "The order's id")),
    responses(
        (status = 202, description = "The order is pending again", body = OrderBody, headers(
            ("Location" = String, description = "The order's path"),
        )),
        (status = 404, description = "The order does not exist"),
        (status = 409, description = "The order has not failed"),
    ),
    security(("bearer" = ["orders:admin"])))]
pub(crate) async fn retry(
    state: Data<AppState>,
    caller: Caller<Admin>,
    id: Path<OrderId>,
) -> Result<HttpResponse, Problem> {
    let order = apply(&state, *id, &caller.operator()).await?;
    let mut response = HttpResponse::Accepted();
    response
        .insert_header((header::LOCATION, format!("/api/orders/{id}")))
        .insert_header((header::CACHE_CONTROL, "no-store"));
    Ok(match order {
        Some(order) => response.json(OrderBody::from(order)),
        None => response.finish(),
    })
}

/// Retries the order, dispatches it, and publishes its event. `None` if this version cannot read its row.
pub(crate) async fn apply(state: &AppState, id: OrderId, actor: &Actor) -> Result<Option<Order>, Problem> {
    let order = match state.store.retry(id, actor).await? {
        Changed::Done(order) => *order,
        Changed::DoneUnreadable => {
            metrics::order_unreadable();
            tracing::warn!(
                name: ORDER_RETRIED,
                { order.id = %id, order.actor = %actor },
                "order retried; its row is of another version and cannot be read"
            );
            return Ok(None);
        }
        Changed::NotFound => return Err(Problem::order_not_found()),
        Changed::Impossible(impossible) => return Err(impossible.into()),
    };
    state.publisher.publish(&order);
    telemetry::span::set("order.id", order.id.to_string());
    tracing::info!(name: ORDER_RETRIED, { order.id = %order.id, order.actor = %actor }, "order retried");
    // The job belongs to the order's trace, not to this request's.
    let parent = telemetry::propagation::extract(&order.trace.0);
    let job = order.next_job();
    let dispatch = state.dispatcher.dispatch_again(&parent, job, "retry");
    enqueue::or_make_due(state, dispatch, order.id).await;
    Ok(Some(order))
}

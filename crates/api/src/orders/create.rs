//! `POST /api/orders`: one statement writes the order, then one command dispatches it. If Redis is away, the answer is 201 all
//! the same: the reconciler dispatches later.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{Data, Json};
use domain::{
    Attempt, CustomerId, NewOrder, Order, OrderDraft, OrderId, ProcessOrder, TraceContext,
};

use super::body::OrderBody;
use crate::caller::Caller;
use crate::problem::Problem;
use crate::state::AppState;

pub(crate) async fn create(
    state: Data<AppState>,
    caller: Caller,
    draft: Json<OrderDraft>,
) -> Result<HttpResponse, Problem> {
    let new = draft.into_inner().validate().map_err(Problem::invalid)?;
    let order = create_order(&state, caller.customer(), &new).await?;
    Ok(HttpResponse::Created()
        .insert_header((header::LOCATION, format!("/api/orders/{}", order.id)))
        .json(OrderBody::from(order)))
}

#[tracing::instrument(
    name = "create_order",
    skip_all,
    fields(
        order.id,
        order.amount = new.amount.to_f64_for_telemetry(),
        order.currency = new.amount.currency().code(),
        order.items = new.items.len(),
        order.high_value = new.amount.exceeds(state.high_value),
        payment.method = new.payment_method.map(|method| method.as_str()),
    )
)]
async fn create_order(
    state: &AppState,
    customer: &CustomerId,
    new: &NewOrder,
) -> Result<Order, Problem> {
    let id = OrderId::generate();
    tracing::Span::current().record("order.id", tracing::field::display(id));
    // Whoever dispatches this order again, whenever, does it in the trace of this span.
    let trace = TraceContext(telemetry::propagation::inject_current());
    let order = state
        .store
        .create(id, customer, new, &trace, state.dispatch_grace)
        .await?;
    dispatch(state, id).await;
    tracing::info!(order.id = %id, "order created");
    Ok(order)
}

/// The order is safe already, so a dispatch that fails only makes it due at once.
async fn dispatch(state: &AppState, order_id: OrderId) {
    let job = ProcessOrder {
        order_id,
        attempt: Attempt::FIRST,
        trace: TraceContext::default(),
        previous_attempt: None,
    };
    let Err(error) = state.dispatcher.dispatch(job).await else {
        return;
    };
    tracing::warn!(order.id = %order_id, error = &error as &dyn std::error::Error, "not dispatched, the reconciler will");
    if let Err(error) = state.store.dispatch_now(order_id).await {
        tracing::warn!(order.id = %order_id, error = &error as &dyn std::error::Error, "due only after its grace");
    }
}

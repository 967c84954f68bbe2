//! `POST /api/orders`: one statement writes the order, then one command dispatches it. If Redis is away, the answer is 201 all
//! the same: the reconciler dispatches later.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use domain::{Attempt, CustomerId, NewOrder, Order, OrderId, ProcessOrder, TraceContext};
use store::{CreatedOnce, Once};
use telemetry::exception;

use super::body::OrderBody;
use super::{draft, idempotency};
use crate::body::JsonBytes;
use crate::caller::{Caller, Write};
use crate::metrics;
use crate::problem::Problem;
use crate::state::AppState;

pub(crate) async fn create(
    request: HttpRequest,
    state: Data<AppState>,
    caller: Caller<Write>,
    body: JsonBytes,
) -> Result<HttpResponse, Problem> {
    let key = idempotency::key(&request)?;
    let draft = draft::read(&body.0)?;
    let once = key.map(|key| idempotency::once(key, &draft));
    let new = draft::validate(draft)?;
    let created = create_order(&state, caller.customer(), &new, once.as_ref()).await?;
    Ok(answer(created))
}

/// The first answer, and every one that repeats it, are the same but for one header.
fn answer(created: Created) -> HttpResponse {
    let (order, replayed) = match created {
        Created::New(order) => (order, false),
        Created::Before(order) => (order, true),
    };
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, format!("/api/orders/{}", order.id)));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if replayed {
        response.insert_header(idempotency::REPLAYED);
    }
    response.json(OrderBody::from(order))
}

enum Created {
    New(Order),
    Before(Order),
}

#[tracing::instrument(
    name = "create_order",
    skip_all,
    fields(
        order.id,
        order.amount = new.amount.to_f64_for_telemetry(),
        order.currency = new.amount.currency().code(),
        order.items = i64::try_from(new.items.len()).unwrap_or(i64::MAX),
        order.high_value = new.amount.exceeds(state.high_value),
        payment.method = new.payment_method.map(|method| method.as_str()),
    )
)]
async fn create_order(
    state: &AppState,
    customer: &CustomerId,
    new: &NewOrder,
    once: Option<&Once>,
) -> Result<Created, Problem> {
    // Whoever dispatches this order again, whenever, does it in the trace of this span.
    let trace = TraceContext(telemetry::propagation::inject_current());
    let created = write(state, customer, new, &trace, once).await?;
    let (Created::New(order) | Created::Before(order)) = &created;
    tracing::Span::current().record("order.id", tracing::field::display(order.id));
    if let Created::New(order) = &created {
        metrics::order_created();
        dispatch(state, order.id).await;
        tracing::info!(order.id = %order.id, "order created");
    }
    Ok(created)
}

async fn write(
    state: &AppState,
    customer: &CustomerId,
    new: &NewOrder,
    trace: &TraceContext,
    once: Option<&Once>,
) -> Result<Created, Problem> {
    let (id, grace) = (OrderId::generate(), state.dispatch_grace);
    let Some(once) = once else {
        let order = state.store.create(id, customer, new, trace, grace).await?;
        return Ok(Created::New(order));
    };
    let created = state
        .store
        .create_once(id, customer, new, trace, grace, once);
    match created.await? {
        CreatedOnce::New(order) => Ok(Created::New(*order)),
        CreatedOnce::Before(order) => Ok(Created::Before(*order)),
        CreatedOnce::InFlight => Err(Problem::new(
            StatusCode::CONFLICT,
            "Another request with this Idempotency-Key is under way. Try again.",
        )
        .retry_soon()),
        CreatedOnce::OtherRequest => Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "This Idempotency-Key was used with another body.",
        )),
    }
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
    tracing::warn!(order.id = %order_id, exception.type = exception::type_of(&error), error = exception::of(&error), "not dispatched, the reconciler will");
    if let Err(error) = state.store.dispatch_now(order_id).await {
        tracing::warn!(order.id = %order_id, exception.type = exception::type_of(&error), error = exception::of(&error), "due only after its grace");
    }
}

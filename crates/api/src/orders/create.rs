//! `POST /api/orders`: one statement writes the order, then one command dispatches it. If Redis is away, the answer is 201 all
//! the same: the reconciler dispatches later.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use domain::{Attempt, CustomerId, NewOrder, Order, OrderId, ProcessOrder, TraceContext};
use opentelemetry::trace::FutureExt;
use store::{CreatedOnce, Once};

use super::body::OrderBody;
use super::{dispatch, draft, idempotency};
use crate::body::JsonBytes;
use crate::caller::{Caller, Write};
use crate::metrics;
use crate::openapi::NewOrder as NewOrderSchema;
use crate::problem::Problem;
use crate::state::AppState;

/// Create an order
///
/// It is processed at once, in the background. With an Idempotency-Key, the same request can be sent any number of times, and takes
/// effect once.
#[utoipa::path(post, path = "/api/orders", tag = "orders", operation_id = "createOrder",
    params(("Idempotency-Key" = Option<String>, Header, description = "A name for this request, kept for 24 hours: 1 to 255 visible ASCII characters", pattern = "^[!-~]{1,255}$", min_length = 1, max_length = 255)),
    request_body(content = NewOrderSchema, content_type = "application/json"),
    responses(
        (status = 201, description = "The order was created: now, or by an earlier request with this Idempotency-Key", body = OrderBody, headers(
            ("Location" = String, description = "The order's path"),
            ("Idempotency-Replayed" = Option<String>, description = "`true` where an earlier request created the order"),
        )),
        (status = 408, description = "The body did not come in time"),
        (status = 409, description = "Another request with this Idempotency-Key is under way", headers(
            ("Retry-After" = u32, description = "Seconds"),
        )),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "The body is not application/json"),
        (status = 422, description = "The body has fields that cannot be taken, each named in `errors`; or the Idempotency-Key was used with another body"),
    ),
    security(("bearer" = ["orders:write"])))]
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
    Ok(answer(create_to_the_end(state, caller, new, once).await?))
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

/// A client that goes away in between leaves no order that is written and not dispatched.
async fn create_to_the_end(
    state: Data<AppState>,
    caller: Caller<Write>,
    new: NewOrder,
    once: Option<Once>,
) -> Result<Created, Problem> {
    let create = async move { create_order(&state, caller.customer(), new, once.as_ref()).await };
    let created = tokio::spawn(create.with_current_context()).await;
    created.map_err(|panic| Problem::internal(&panic))?
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
        payment.method = new.payment_method.map(domain::PaymentMethod::as_str),
    )
)]
async fn create_order(
    state: &AppState,
    customer: &CustomerId,
    new: NewOrder,
    once: Option<&Once>,
) -> Result<Created, Problem> {
    // Whoever dispatches this order again, whenever, does it in the trace of this span.
    let trace = TraceContext(telemetry::propagation::inject_current());
    let order = Order::new(OrderId::generate(), customer.clone(), new, trace);
    let created = write(state, order, once).await?;
    let (Created::New(order) | Created::Before(order)) = &created;
    tracing::Span::current().record("order.id", tracing::field::display(order.id));
    if let Created::New(order) = &created {
        metrics::order_created();
        let job = first_job(order.id);
        dispatch::at_once(state, state.dispatcher.dispatch(job), order.id).await;
        tracing::info!(order.id = %order.id, "order created");
    }
    Ok(created)
}

async fn write(state: &AppState, order: Order, once: Option<&Once>) -> Result<Created, Problem> {
    let grace = state.dispatch_grace;
    let Some(once) = once else {
        let order = state.store.create(order, grace).await?;
        return Ok(Created::New(order));
    };
    match state.store.create_once(order, grace, once).await? {
        CreatedOnce::New(order) => Ok(Created::New(*order)),
        CreatedOnce::Replayed(order) => Ok(Created::Before(*order)),
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

/// Its trace context is written where it is dispatched.
fn first_job(order_id: OrderId) -> ProcessOrder {
    ProcessOrder {
        order_id,
        attempt: Attempt::FIRST,
        trace: TraceContext::default(),
        previous_attempt: None,
    }
}

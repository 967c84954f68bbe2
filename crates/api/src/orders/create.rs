//! `POST /api/orders`: one statement writes the order, then one command enqueues its job. The response is 201
//! even if Redis is unavailable: the reconciler then dispatches the order.

use actix_web::http::{StatusCode, header};
use actix_web::web::Data;
use actix_web::{HttpRequest, HttpResponse};
use domain::{CustomerId, NewOrder, Order, OrderId, TraceContext};
use opentelemetry::KeyValue;
use opentelemetry::trace::FutureExt;
use store::{CreatedOnce, Once};

use super::representation::OrderBody;
use super::{draft, enqueue, idempotency};
use crate::body::JsonBody;
use crate::caller::{Caller, Write};
use crate::metrics;
use crate::problem::Problem;
use crate::state::AppState;

/// Create an order
///
/// It is processed in the background. With an Idempotency-Key, the same request can be sent any number of
/// times and takes effect once.
#[utoipa::path(post, path = "/api/orders", tag = "orders", operation_id = "createOrder",
    params(("Idempotency-Key" = Option<String>, Header, description = "A key for this request, stored for 24 hours: 1 to 255 visible ASCII characters", pattern = "^[!-~]{1,255}$", min_length = 1, max_length = 255)),
    request_body(content = ref("#/components/schemas/NewOrder"), content_type = "application/json"),
    responses(
        (status = 201, description = "The order was created: now, or by an earlier request with this Idempotency-Key", body = OrderBody, headers(
            ("Location" = String, description = "The order's path"),
            ("Idempotency-Replayed" = Option<String>, description = "`true` if an earlier request created the order"),
        )),
        (status = 408, description = "The body was not received in time"),
        (status = 409, description = "Another request with this Idempotency-Key is in progress", headers(
            ("Retry-After" = u32, description = "Seconds"),
        )),
        (status = 413, description = "The body is too large"),
        (status = 415, description = "The body is not application/json"),
        (status = 422, description = "The body has invalid fields, each listed in `errors`; or the Idempotency-Key was used with another body"),
    ),
    security(("bearer" = ["orders:write"])))]
pub(crate) async fn create(
    request: HttpRequest,
    state: Data<AppState>,
    caller: Caller<Write>,
    body: JsonBody,
) -> Result<HttpResponse, Problem> {
    let key = idempotency::key(&request)?;
    let body = body.read(&request, &state, &caller).await?;
    let draft = draft::read(&body)?;
    let once = key.map(|key| idempotency::once(key, &draft));
    let new = draft::validate(draft)?;
    Ok(respond(create_uncancelled(state, caller, new, once).await?))
}

/// A replayed response differs from the first one only by a header.
fn respond(created: Created) -> HttpResponse {
    let mut response = HttpResponse::Created();
    response.insert_header((header::LOCATION, format!("/api/orders/{}", created.order.id)));
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    if created.replayed {
        response.insert_header(idempotency::REPLAYED);
    }
    response.json(OrderBody::from(created.order))
}

/// Runs as a task, so that an order is not left without a job when its client disconnects.
async fn create_uncancelled(
    state: Data<AppState>,
    caller: Caller<Write>,
    new: NewOrder,
    once: Option<Once>,
) -> Result<Created, Problem> {
    let create = async move { create_order(&state, caller.customer(), new, once.as_ref()).await };
    // A box, because tokio moves what it spawns several times, and this is large.
    let created = tokio::spawn(Box::pin(create).with_current_context()).await;
    created.map_err(|panic| Problem::internal(&panic))?
}

struct Created {
    order: Order,
    /// By an earlier request with the same Idempotency-Key.
    replayed: bool,
}

async fn create_order(
    state: &AppState,
    customer: &CustomerId,
    new: NewOrder,
    once: Option<&Once>,
) -> Result<Created, Problem> {
    let (amount, items, method) = (new.amount, new.items.len(), new.payment_method);
    let attributes = || {
        [
            KeyValue::new("order.amount", amount.to_f64_for_telemetry()),
            KeyValue::new("order.currency", amount.currency().code()),
            KeyValue::new("order.items", i64::try_from(items).unwrap_or(i64::MAX)),
            KeyValue::new("order.high_value", amount.exceeds(state.high_value)),
        ]
    };
    telemetry::span::within("create_order", attributes, async {
        if let Some(method) = method {
            telemetry::span::set("payment.method", method.as_str());
        }
        // Stored with the order, so that each later dispatch belongs to the trace of this span.
        let trace = TraceContext(telemetry::propagation::inject_current());
        let order = Order::new(OrderId::generate(), customer.clone(), new, trace);
        let created = write(state, order, once).await?;
        let order = &created.order;
        telemetry::span::set("order.id", order.id.to_string());
        if !created.replayed {
            metrics::order_created();
            let dispatch = state.dispatcher.dispatch(order.next_job());
            enqueue::or_make_due(state, dispatch, order.id).await;
            tracing::info!(order.id = %order.id, "order created");
        }
        Ok(created)
    })
    .await
}

async fn write(state: &AppState, order: Order, once: Option<&Once>) -> Result<Created, Problem> {
    let grace = state.dispatch_grace;
    let created = match once {
        None => CreatedOnce::New(Box::new(state.store.create(order, grace).await?)),
        Some(once) => state.store.create_once(order, grace, once).await?,
    };
    let (order, replayed) = match created {
        CreatedOnce::New(order) => (*order, false),
        CreatedOnce::Replayed(order) => (*order, true),
        CreatedOnce::InFlight => {
            let detail = "Another request with this Idempotency-Key is in progress. Try again.";
            return Err(Problem::new(StatusCode::CONFLICT, detail).retry_soon());
        }
        CreatedOnce::OtherRequest => {
            let detail = "This Idempotency-Key was used with another body.";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail));
        }
    };
    Ok(Created { order, replayed })
}

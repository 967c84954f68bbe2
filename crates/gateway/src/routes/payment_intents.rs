//! The handlers of `/v1/payment_intents`.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use serde_json::{Value, json};

use crate::auth::Authorized;
use crate::error::StripeError;
use crate::faults::lost_response;
use crate::form::Form;
use crate::idempotency::IdempotencyKey;
use crate::ledger::{KeyConflict, Reserved};
use crate::payment::{PaymentIntent, PaymentRequest};
use crate::state::Sandbox;

pub(crate) const PATH: &str = "/v1/payment_intents";

/// Marks the response to an earlier request with the same key.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Attributes of the server span. A card's token must never become one.
const ORDER_ID: &str = "order.id";
const PAYMENT_ID: &str = "payment.id";

/// `POST /v1/payment_intents`
pub(crate) async fn create(
    _: Authorized,
    request: HttpRequest,
    form: Form,
    sandbox: web::Data<Sandbox>,
) -> Result<HttpResponse, StripeError> {
    let key = IdempotencyKey::of(&request)?;
    let payment = PaymentRequest::from_form(&form)?;
    if let Some(order) = payment.metadata("order_id") {
        telemetry::span::set(ORDER_ID, order.to_owned());
    }

    let reserved = sandbox.ledger.reserve(key, &payment)?;
    sandbox.faults.before_charge().await?;
    match reserved {
        Reserved::Recorded(intent) => {
            let mut response = response(&intent);
            response
                .headers_mut()
                .insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(response)
        }
        Reserved::New(reservation) => {
            let intent = reservation.record(PaymentIntent::new(payment));
            if intent.is_charged() && sandbox.faults.loses_response() {
                Ok(lost_response())
            } else {
                Ok(response(&intent))
            }
        }
    }
}

/// `GET /v1/payment_intents`: the charged payments, newest first.
pub(crate) async fn list(
    _: Authorized,
    request: HttpRequest,
    sandbox: web::Data<Sandbox>,
) -> Result<web::Json<Value>, StripeError> {
    let query = Form::parse(request.query_string().as_bytes());
    query.only(&["limit", "starting_after"])?;
    let limit = query.integer("limit", 1..=100)?.unwrap_or(10);
    let limit = usize::try_from(limit).unwrap_or(100);
    let page = sandbox
        .ledger
        .charged(limit, query.get("starting_after"))
        .ok_or_else(|| StripeError::no_such_payment("starting_after"))?;
    let data: Vec<Value> = page.payments.iter().map(|intent| intent.to_json()).collect();
    Ok(web::Json(json!({
        "object": "list",
        "url": PATH,
        "has_more": page.has_more,
        "data": data,
    })))
}

/// `GET /v1/payment_intents/{id}`: any payment, charged or not.
pub(crate) async fn get(
    _: Authorized,
    id: web::Path<String>,
    sandbox: web::Data<Sandbox>,
) -> Result<web::Json<Value>, StripeError> {
    let intent = sandbox
        .ledger
        .get(&id)
        .ok_or_else(StripeError::payment_not_found)?;
    Ok(web::Json(intent.to_json()))
}

/// The same for a first request and for every retry.
fn response(intent: &PaymentIntent) -> HttpResponse {
    telemetry::span::set(PAYMENT_ID, intent.id().to_owned());
    match intent.decline_error() {
        Some(error) => error.error_response(),
        None => HttpResponse::Ok().json(intent.to_json()),
    }
}

impl From<KeyConflict> for StripeError {
    fn from(conflict: KeyConflict) -> Self {
        match conflict {
            KeyConflict::OtherParameters => Self::key_reused(),
            KeyConflict::InFlight => Self::key_in_use(),
        }
    }
}

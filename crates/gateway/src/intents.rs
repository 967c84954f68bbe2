//! The handlers of `/v1/payment_intents`.

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use serde_json::{Value, json};

use crate::auth::Authorized;
use crate::error::StripeError;
use crate::faults::lost_answer;
use crate::form::Form;
use crate::idempotency::IdempotencyKey;
use crate::ledger::{KeyConflict, Opened};
use crate::payment::{PaymentIntent, PaymentRequest};
use crate::startup::Sandbox;

/// Where payments are made and listed.
pub(crate) const PATH: &str = "/v1/payment_intents";

/// Says that an answer is that of an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Attributes of the server span. A card's token is never one of them.
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

    let opened = sandbox.ledger.open(key, &payment)?;
    sandbox.faults.before_charge().await?;
    match opened {
        Opened::Recorded(intent) => {
            let mut response = answer(&intent);
            response
                .headers_mut()
                .insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(response)
        }
        Opened::New(reservation) => {
            let intent = reservation.record(PaymentIntent::new(payment));
            match intent.is_charged() && sandbox.faults.loses_answer() {
                true => Ok(lost_answer()),
                false => Ok(answer(&intent)),
            }
        }
    }
}

/// `GET /v1/payment_intents`: what was charged, newest first.
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

/// `GET /v1/payment_intents/{id}`: any payment, also one that was refused.
pub(crate) async fn get(
    _: Authorized,
    id: web::Path<String>,
    sandbox: web::Data<Sandbox>,
) -> Result<web::Json<Value>, StripeError> {
    match sandbox.ledger.get(&id) {
        Some(intent) => Ok(web::Json(intent.to_json())),
        None => Err(StripeError::payment_not_found()),
    }
}

/// The same for a first request and for every retry.
fn answer(intent: &PaymentIntent) -> HttpResponse {
    telemetry::span::set(PAYMENT_ID, intent.id().to_owned());
    match intent.decline() {
        Some(decline) => StripeError::declined(intent, decline).error_response(),
        None => HttpResponse::Ok().json(intent.to_json()),
    }
}

impl From<KeyConflict> for StripeError {
    fn from(conflict: KeyConflict) -> Self {
        match conflict {
            KeyConflict::OtherRequest => Self::key_reused(),
            KeyConflict::InFlight => Self::key_in_use(),
        }
    }
}

//! The handlers of `/v1/payment_intents`.

use std::ops::RangeInclusive;
use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{Error, HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use crate::admission::Admitted;
use crate::error::StripeError;
use crate::faults::{Interruption, Operation, lost_response};
use crate::form::Form;
use crate::idempotency::{Fingerprint, IdempotencyKey};
use crate::intent::{IntentId, PaymentIntent};
use crate::ledger::{KeyConflict, Ledger, Reserved};
use crate::outcome::Outcome;
use crate::parameters::{CancelIntent, ConfirmIntent, CreateIntent};
use crate::state::Sandbox;

pub(crate) const PATH: &str = "/v1/payment_intents";

/// Marks a response that was stored under the request's idempotency key.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Attributes of the server span. A card's token must never become one.
const ORDER_ID: &str = "order.id";
const PAYMENT_ID: &str = "payment.id";
/// The metadata's key for the order's id.
const ORDER_ID_KEY: &str = "order_id";

/// `POST /v1/payment_intents`
pub(crate) async fn create(
    _: Admitted,
    request: HttpRequest,
    form: Form,
    sandbox: web::Data<Sandbox>,
) -> Result<HttpResponse, Error> {
    let key = IdempotencyKey::of(&request)?;
    let parameters = CreateIntent::from_form(&form)?;
    if let Some(order) = parameters.metadata.get(ORDER_ID_KEY) {
        telemetry::span::set(ORDER_ID, order.to_owned());
    }
    let run = |ledger: &Ledger, processing| Some(ledger.create(parameters, processing));
    let fingerprint = Fingerprint::of(request.path(), &form);
    execute(&sandbox, Operation::Create, key, fingerprint, run).await
}

/// `POST /v1/payment_intents/{id}/confirm`
pub(crate) async fn confirm(
    _: Admitted,
    request: HttpRequest,
    id: web::Path<String>,
    form: Form,
    sandbox: web::Data<Sandbox>,
) -> Result<HttpResponse, Error> {
    let key = IdempotencyKey::of(&request)?;
    let parameters = ConfirmIntent::from_form(&form)?;
    let id = existing_id(&id)?;
    let run = |ledger: &Ledger, processing| ledger.confirm(id, &parameters, processing);
    let fingerprint = Fingerprint::of(request.path(), &form);
    execute(&sandbox, Operation::Confirm, key, fingerprint, run).await
}

/// `POST /v1/payment_intents/{id}/cancel`
pub(crate) async fn cancel(
    _: Admitted,
    request: HttpRequest,
    id: web::Path<String>,
    form: Form,
    sandbox: web::Data<Sandbox>,
) -> Result<HttpResponse, Error> {
    let key = IdempotencyKey::of(&request)?;
    let parameters = CancelIntent::from_form(&form)?;
    let id = existing_id(&id)?;
    let run = |ledger: &Ledger, _| ledger.cancel(id, &parameters);
    let fingerprint = Fingerprint::of(request.path(), &form);
    execute(&sandbox, Operation::Cancel, key, fingerprint, run).await
}

/// `GET /v1/payment_intents/{id}`
pub(crate) async fn get(
    _: Admitted,
    id: web::Path<String>,
    sandbox: web::Data<Sandbox>,
) -> Result<HttpResponse, Error> {
    let id = existing_id(&id)?;
    read(&sandbox, Operation::Get, || {
        let intent = sandbox
            .ledger
            .get(id)
            .ok_or_else(StripeError::payment_not_found)?;
        record_attributes(&intent);
        Ok(intent.to_json())
    })
    .await
}

/// `GET /v1/payment_intents`: every intent, newest first.
pub(crate) async fn list(
    _: Admitted,
    request: HttpRequest,
    sandbox: web::Data<Sandbox>,
) -> Result<HttpResponse, Error> {
    let query = Form::parse(request.query_string().as_bytes());
    query.only(&["created", "limit", "starting_after"])?;
    let limit = query.integer("limit", 1..=100)?.unwrap_or(10);
    let limit = usize::try_from(limit).unwrap_or(100);
    let created = created_range(&query)?;
    let no_such_intent = || StripeError::no_such_payment("starting_after");
    let parse = |id: &str| IntentId::parse(id).ok_or_else(no_such_intent);
    let starting_after = query.get("starting_after").map(parse).transpose()?;
    read(&sandbox, Operation::List, || {
        let page = sandbox
            .ledger
            .list(limit, &created, starting_after)
            .ok_or_else(no_such_intent)?;
        let data: Vec<Value> = page.intents.iter().map(PaymentIntent::to_json).collect();
        Ok(json!({
            "object": "list",
            "url": PATH,
            "has_more": page.has_more,
            "data": data,
        }))
    })
    .await
}

/// Executes a POST, or replays the result that is stored under its key.
async fn execute(
    sandbox: &Sandbox,
    operation: Operation,
    key: Option<IdempotencyKey>,
    fingerprint: Fingerprint,
    run: impl FnOnce(&Ledger, Duration) -> Option<Outcome>,
) -> Result<HttpResponse, Error> {
    let faults = &sandbox.faults;
    let reserved = sandbox
        .ledger
        .reserve(key, fingerprint)
        .map_err(StripeError::from)?;
    faults.before(operation).await?;
    let (outcome, charged, replayed) = match reserved {
        Reserved::Stored(outcome) => (outcome, false, true),
        Reserved::New(reservation) => {
            // From here to the end nothing awaits: a client that disconnects cannot separate the two.
            let mut outcome = Outcome::Failed;
            if !faults.fails(operation) {
                let processing = faults.faults().processing();
                outcome = run(&sandbox.ledger, processing).ok_or_else(StripeError::payment_not_found)?;
            }
            let charged = outcome.is_charged();
            if charged && faults.fails_after_charge(operation) {
                outcome = Outcome::Failed;
            }
            if !faults.faults().forget_keys() {
                reservation.store(outcome.clone());
            }
            (outcome, charged, false)
        }
    };
    outcome.intent().inspect(|intent| record_attributes(intent));
    if faults.loses_response(operation, charged) {
        return Ok(lost_response());
    }
    let mut response = outcome.response();
    if replayed {
        sandbox.stats.replayed.increment();
        response
            .headers_mut()
            .insert(REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Executes a GET.
async fn read(
    sandbox: &Sandbox,
    operation: Operation,
    run: impl FnOnce() -> Result<Value, StripeError>,
) -> Result<HttpResponse, Error> {
    sandbox.faults.before(operation).await?;
    if sandbox.faults.fails(operation) {
        return Err(Interruption::Error.into());
    }
    let body = run()?;
    if sandbox.faults.loses_response(operation, false) {
        return Ok(lost_response());
    }
    Ok(HttpResponse::Ok().json(body))
}

/// The id of a path. A text that is no id is of no intent.
fn existing_id(text: &str) -> Result<IntentId, StripeError> {
    let id = IntentId::parse(text).ok_or_else(StripeError::payment_not_found)?;
    telemetry::span::set(PAYMENT_ID, id.to_string());
    Ok(id)
}

/// `created[gte]`, `created[gt]`, `created[lte]` and `created[lt]`: Unix times in seconds.
fn created_range(query: &Form) -> Result<RangeInclusive<i64>, StripeError> {
    let (mut first, mut last) = (i64::MIN, i64::MAX);
    for (bound, _) in query.map("created") {
        let name = format!("created[{bound}]");
        let time = query.integer(&name, 0..=i64::from(u32::MAX))?.unwrap_or_default();
        match bound {
            "gte" => first = first.max(time),
            "gt" => first = first.max(time + 1),
            "lte" => last = last.min(time),
            "lt" => last = last.min(time - 1),
            _ => {
                return Err(StripeError::unknown_parameter(&[
                    "created[gte]",
                    "created[gt]",
                    "created[lte]",
                    "created[lt]",
                ]));
            }
        }
    }
    Ok(first..=last)
}

fn record_attributes(intent: &PaymentIntent) {
    telemetry::span::set(PAYMENT_ID, intent.id().to_string());
    if let Some(order) = intent.metadata().get(ORDER_ID_KEY) {
        telemetry::span::set(ORDER_ID, order.to_owned());
    }
}

impl From<KeyConflict> for StripeError {
    fn from(conflict: KeyConflict) -> Self {
        match conflict {
            KeyConflict::OtherEndpoint => Self::other_endpoint(),
            KeyConflict::OtherParameters => Self::other_parameters(),
            KeyConflict::InFlight => Self::key_in_use(),
        }
    }
}

//! How a request to `/v1/payment_intents` is executed: its faults, its idempotency key, its response.

use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{Error, HttpResponse};
use serde_json::Value;

use super::span::{record_intent, record_order};
use crate::error::StripeError;
use crate::faults::{Interruption, Operation, lost_response};
use crate::idempotency::IdempotencyKey;
use crate::ledger::Ledger;
use crate::outcome::Outcome;
use crate::results::{KeyConflict, Reservation, Reserved};
use crate::state::Sandbox;

/// Marks a response that was stored under the request's idempotency key.
const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// Executes a POST, or replays the result that is stored under its key. `run` returns `None` where the intent
/// does not exist.
pub(super) async fn post(
    sandbox: &Sandbox,
    operation: Operation,
    key: Option<IdempotencyKey>,
    run: impl FnOnce(&Ledger, Duration) -> Option<Outcome>,
) -> Result<HttpResponse, Error> {
    let reserved = sandbox.results.reserve(key).map_err(StripeError::from)?;
    sandbox.faults.before(operation).await?;
    match reserved {
        Reserved::Stored(outcome) => {
            sandbox.stats.replayed.increment();
            let mut response = respond(sandbox, operation, &outcome, false);
            response
                .headers_mut()
                .insert(REPLAYED, HeaderValue::from_static("true"));
            Ok(response)
        }
        Reserved::New(reservation) => Ok(execute(sandbox, operation, reservation, run)?),
    }
}

/// Executes a GET.
pub(super) async fn get(
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

/// Not async: a client that disconnects cannot come between the change and its stored result.
fn execute(
    sandbox: &Sandbox,
    operation: Operation,
    reservation: Reservation,
    run: impl FnOnce(&Ledger, Duration) -> Option<Outcome>,
) -> Result<HttpResponse, StripeError> {
    let faults = &sandbox.faults;
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
    Ok(respond(sandbox, operation, &outcome, charged))
}

/// `charged`: the request charged the card.
fn respond(sandbox: &Sandbox, operation: Operation, outcome: &Outcome, charged: bool) -> HttpResponse {
    if let Some(intent) = outcome.intent() {
        // The handler has recorded the id that the request has.
        if operation == Operation::Create {
            record_intent(intent.id());
        } else {
            record_order(intent.metadata());
        }
    }
    if sandbox.faults.loses_response(operation, charged) {
        lost_response()
    } else {
        outcome.response()
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

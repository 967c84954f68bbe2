//! The handlers of `/sandbox`, the endpoints that Stripe does not have. They need no API key and have no
//! faults.

use actix_web::{HttpRequest, web};
use serde_json::{Value, json};

use super::payment_intents;
use crate::error::StripeError;
use crate::faults::Faults;
use crate::state::Sandbox;

/// `GET /sandbox/faults`
pub(crate) async fn faults(sandbox: web::Data<Sandbox>) -> web::Json<Faults> {
    web::Json(sandbox.faults.faults())
}

/// `POST /sandbox/faults`: replaces all of them; `{}` ends every fault.
pub(crate) async fn replace_faults(
    faults: web::Json<Faults>,
    sandbox: web::Data<Sandbox>,
) -> Result<web::Json<Faults>, StripeError> {
    let faults = faults.into_inner();
    faults.check()?;
    sandbox.faults.replace(faults);
    if faults.forget_keys() {
        sandbox.results.forget();
    }
    tracing::info!("faults changed: {faults:?}");
    Ok(web::Json(faults))
}

/// `GET /sandbox/stats`: what happened since the start.
pub(crate) async fn stats(sandbox: web::Data<Sandbox>) -> web::Json<Value> {
    web::Json(json!({
        "requests": sandbox.stats.requests.get(),
        "charges": sandbox.ledger.charges(),
        "rate_limited": sandbox.stats.rate_limited.get(),
        "replayed": sandbox.stats.replayed.get(),
    }))
}

/// `GET /sandbox/payment_intents`: the list of `/v1/payment_intents`, for an audit while faults are on.
pub(crate) async fn payment_intents(
    request: HttpRequest,
    sandbox: web::Data<Sandbox>,
) -> Result<web::Json<Value>, StripeError> {
    payment_intents::page(&request, &sandbox).map(web::Json)
}

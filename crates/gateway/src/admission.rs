//! What comes before parameters and idempotency keys: the API key, `Authorization: Bearer sk_test_…`, and
//! the rate limit. A handler that takes [`Admitted`] runs only for a request that passed both.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use crate::error::StripeError;
use crate::state::Sandbox;

/// Proof of a counted request with an accepted API key, within the rate limit. It does not carry the key, so
/// no handler can log it.
pub(crate) struct Admitted;

impl FromRequest for Admitted {
    type Error = StripeError;
    type Future = Ready<Result<Self, StripeError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(admit(request))
    }
}

fn admit(request: &HttpRequest) -> Result<Admitted, StripeError> {
    let invalid_key = || StripeError::unauthorized("Invalid API Key provided.");
    let sandbox = request.app_data::<web::Data<Sandbox>>().ok_or_else(invalid_key)?;
    sandbox.stats.requests.increment();
    let Some(key) = bearer(request) else {
        let message = "You did not provide an API key. Send it as `Authorization: Bearer sk_test_...`.";
        return Err(StripeError::unauthorized(message));
    };
    if !sandbox.keys.accept(key) || sandbox.faults.rejects_keys() {
        return Err(invalid_key());
    }
    if sandbox.faults.is_over_rate_limit() {
        sandbox.stats.rate_limited.increment();
        return Err(StripeError::rate_limited());
    }
    Ok(Admitted)
}

/// The scheme's name is case-insensitive (RFC 9110, 11.1).
fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get("authorization")?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

//! `Authorization: Bearer sk_test_…`. A handler that takes [`Authorized`] runs only with an accepted API key.

use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, web};

use crate::error::StripeError;
use crate::state::Sandbox;

/// Proof of an accepted API key. It does not carry the key, so no handler can log it.
pub(crate) struct Authorized;

impl FromRequest for Authorized {
    type Error = StripeError;
    type Future = Ready<Result<Self, StripeError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(authorize(request))
    }
}

fn authorize(request: &HttpRequest) -> Result<Authorized, StripeError> {
    let Some(key) = bearer(request) else {
        let message = "You did not provide an API key. Send it as `Authorization: Bearer sk_test_...`.";
        return Err(StripeError::unauthorized(message));
    };
    let sandbox = request.app_data::<web::Data<Sandbox>>();
    if sandbox.is_some_and(|sandbox| sandbox.keys.accept(key)) {
        Ok(Authorized)
    } else {
        Err(StripeError::unauthorized("Invalid API Key provided."))
    }
}

/// The scheme's name is case-insensitive (RFC 9110, 11.1).
fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get("authorization")?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    let key = key.trim();
    (scheme.eq_ignore_ascii_case("bearer") && !key.is_empty()).then_some(key)
}

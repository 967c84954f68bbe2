//! The `Idempotency-Key` header: the first result of a key is the result of every request with it.
//! <https://docs.stripe.com/api/idempotent_requests>

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use actix_web::HttpRequest;

use crate::error::StripeError;
use crate::form::Form;

/// Stripe's limit, in characters.
const MAX_LENGTH: usize = 255;

/// A key of 1 to 255 visible ASCII characters, with what its request was sent to.
#[derive(Debug, Clone)]
pub(crate) struct IdempotencyKey {
    pub(crate) text: Arc<str>,
    pub(crate) fingerprint: Fingerprint,
}

/// Two requests with one key must have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// Hash of the path.
    pub(crate) endpoint: u64,
    /// Hash of the form.
    pub(crate) parameters: u64,
}

impl IdempotencyKey {
    /// The request's key; `None` where it has no such header.
    pub(crate) fn of(request: &HttpRequest, form: &Form) -> Result<Option<Self>, StripeError> {
        let Some(value) = request.headers().get("idempotency-key") else {
            return Ok(None);
        };
        let key = value
            .to_str()
            .ok()
            .and_then(|text| Self::parse(text, request.path(), form));
        let invalid = || {
            StripeError::invalid(format!(
                "The Idempotency-Key header takes 1 to {MAX_LENGTH} visible ASCII characters."
            ))
        };
        key.ok_or_else(invalid).map(Some)
    }

    pub(crate) fn parse(text: &str, path: &str, form: &Form) -> Option<Self> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        ((1..=MAX_LENGTH).contains(&text.len()) && visible).then(|| Self {
            text: text.into(),
            fingerprint: Fingerprint {
                endpoint: hash(path),
                parameters: hash(form),
            },
        })
    }
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_1_to_255_visible_characters() {
        let parse = |text: &str| IdempotencyKey::parse(text, "/v1/payment_intents", &Form::parse(b""));
        assert!(parse(&"k".repeat(255)).is_some());
        for bad in ["", "a key", "schlüssel", &"k".repeat(256)] {
            assert!(parse(bad).is_none(), "{bad}");
        }
    }
}

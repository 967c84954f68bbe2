//! The `Idempotency-Key` header: the first result of a key is the result of every request with it.
//! <https://docs.stripe.com/api/idempotent_requests>

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use actix_web::HttpRequest;

use crate::error::StripeError;
use crate::form::Form;

/// Stripe's limit, in characters.
const MAX_LENGTH: usize = 255;

/// A key: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct IdempotencyKey(Arc<str>);

/// What a request was sent to and with. Two requests with one key must have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint {
    /// Hash of the path.
    pub(crate) endpoint: u64,
    /// Hash of the form.
    pub(crate) parameters: u64,
}

impl Fingerprint {
    pub(crate) fn of(path: &str, form: &Form) -> Self {
        Self {
            endpoint: hash(path),
            parameters: hash(form),
        }
    }
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

impl IdempotencyKey {
    /// The request's key; `None` where it has no such header.
    pub(crate) fn of(request: &HttpRequest) -> Result<Option<Self>, StripeError> {
        let Some(value) = request.headers().get("idempotency-key") else {
            return Ok(None);
        };
        match value.to_str().ok().and_then(Self::parse) {
            Some(key) => Ok(Some(key)),
            None => Err(StripeError::invalid(format!(
                "The Idempotency-Key header takes 1 to {MAX_LENGTH} visible ASCII characters."
            ))),
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        ((1..=MAX_LENGTH).contains(&text.len()) && visible).then(|| Self(text.into()))
    }

    /// Length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_1_to_255_visible_characters() {
        assert!(IdempotencyKey::parse(&"k".repeat(255)).is_some());
        for bad in ["", "a key", "schlüssel", &"k".repeat(256)] {
            assert_eq!(IdempotencyKey::parse(bad), None, "{bad}");
        }
    }
}

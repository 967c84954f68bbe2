//! The Idempotency-Key of a request: how it is read, and what makes two requests the same.

use actix_web::HttpRequest;
use domain::OrderDraft;
use ring::digest::{SHA256, digest};
use store::{IdempotencyKey, Once};

use crate::problem::Problem;

const HEADER: &str = "Idempotency-Key";
/// The header of an answer that was given before.
pub(super) const REPLAYED: (&str, &str) = ("Idempotency-Replayed", "true");

/// The request's key, where it has one.
pub(super) fn key(request: &HttpRequest) -> Result<Option<IdempotencyKey>, Problem> {
    let mut values = request.headers().get_all(HEADER);
    let key = match (values.next(), values.next()) {
        (None, _) => return Ok(None),
        (Some(value), None) => value.to_str().ok().and_then(IdempotencyKey::new),
        (Some(_), Some(_)) => None,
    };
    let key = key
        .ok_or_else(|| Problem::bad_request("One Idempotency-Key has 1 to 255 visible ASCII characters."))?;
    Ok(Some(key))
}

/// Two bodies are the same where they say the same, however they are written: white space and the order of fields do not count.
pub(super) fn once(key: IdempotencyKey, draft: &OrderDraft) -> Once {
    // A draft is text, numbers and lists: it always goes into JSON.
    let json = serde_json::to_vec(draft).unwrap_or_default();
    // A SHA-256 always has 32 bytes.
    let fingerprint = digest(&SHA256, &json).as_ref().try_into();
    Once {
        key,
        fingerprint: fingerprint.unwrap_or_default(),
    }
}

//! The Idempotency-Key of a request, and the fingerprint by which two requests are the same.

use actix_web::HttpRequest;
use domain::OrderDraft;
use ring::digest::{SHA256, digest};
use store::{IdempotencyKey, Once};

use crate::problem::Problem;

const HEADER: &str = "Idempotency-Key";
/// Marks a response to an earlier request.
pub(super) const REPLAYED: (&str, &str) = ("Idempotency-Replayed", "true");

/// The request's key, if it has one.
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

/// Hashes the draft, not the bytes: white space and the order of fields do not matter.
pub(super) fn once(key: IdempotencyKey, draft: &OrderDraft) -> Once {
    // A draft is text, numbers and lists: serializing it does not fail.
    let json = serde_json::to_vec(draft).unwrap_or_default();
    // A SHA-256 always has 32 bytes.
    let fingerprint = digest(&SHA256, &json).as_ref().try_into();
    Once {
        key,
        fingerprint: fingerprint.unwrap_or_default(),
    }
}

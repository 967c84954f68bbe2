//! The Idempotency-Key of a request, and the fingerprint by which two requests are the same.

use actix_web::HttpRequest;
use domain::OrderDraft;
use ring::digest::{SHA256, digest};
use serde::Serialize;
use store::{IdempotencyKey, Once};

use crate::problem::Problem;

const HEADER: &str = "Idempotency-Key";
/// Marks a response to an earlier request.
pub(super) const REPLAYED: (&str, &str) = ("Idempotency-Replayed", "true");

/// The version of [`fingerprint`], which is also that of release 0.1. Absent fields of that release are
/// hashed as null, absent later ones not at all: a request has one fingerprint in all versions that accept
/// it, so it can be repeated across a deployment.
const FINGERPRINT_VERSION: i16 = 1;

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

pub(super) fn once(key: IdempotencyKey, draft: &OrderDraft) -> Once {
    Once {
        key,
        fingerprint: fingerprint(draft),
        fingerprint_version: FINGERPRINT_VERSION,
    }
}

/// Hashes the draft, not the bytes: white space and the order of fields do not matter.
fn fingerprint(draft: &impl Serialize) -> [u8; 32] {
    // A draft is text, numbers and lists: serializing it does not fail.
    let json = serde_json::to_vec(draft).unwrap_or_default();
    // A SHA-256 always has 32 bytes.
    digest(&SHA256, &json).as_ref().try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bodies and what release 0.1 stored for them. A change of these hashes needs another version, and
    /// programs that verify both.
    #[test]
    fn a_fingerprint_is_that_of_release_0_1() {
        for (body, hash) in [
            (
                r#"{"product_name":"Widget","amount":"99.99"}"#,
                "01350ce51630adf4590bacfe554dcb947bdec70e23f2ff9d563170395a9f72cc",
            ),
            (
                r#"{"items":[{"product_name":"Widget","quantity":2,"unit_price":49.99}],
                    "currency":"EUR","payment_method":"credit_card","payment_token":"pm_1"}"#,
                "d6e6fa6f0c2ef5c62fafe1bdda40210fea937e7d259493f4109b399cbae73b45",
            ),
        ] {
            let draft: OrderDraft = serde_json::from_str(body).unwrap();
            let hex: String = fingerprint(&draft)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(hex, hash, "{body}");
        }
    }

    /// A draft of the next version.
    #[derive(Serialize)]
    struct NextDraft {
        #[serde(flatten)]
        present: OrderDraft,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<&'static str>,
    }

    #[test]
    fn a_later_field_changes_only_the_fingerprints_of_requests_that_have_it() {
        let body = r#"{"product_name":"Widget","amount":"99.99"}"#;
        let present: OrderDraft = serde_json::from_str(body).unwrap();
        let known = fingerprint(&present);
        let mut next = NextDraft { present, note: None };
        assert_eq!(fingerprint(&next), known);
        next.note = Some("a gift");
        assert_ne!(fingerprint(&next), known);
    }
}

//! Entity tags (RFC 9110, section 8.8.3): a client that has the current representation gets 304 without a
//! body.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, EntityTag, Header, IfNoneMatch};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};

/// The tag of these bytes.
pub(crate) fn of(body: &[u8]) -> EntityTag {
    EntityTag::new_strong(URL_SAFE_NO_PAD.encode(digest(&SHA256, body)))
}

/// The body with its tag, or 304 if the client has it; with the headers that `add` adds to both.
pub(crate) fn respond(
    request: &HttpRequest,
    tag: EntityTag,
    media_type: &str,
    body: Bytes,
    add: impl FnOnce(&mut HttpResponseBuilder),
) -> HttpResponse {
    let known = match IfNoneMatch::parse(request) {
        Ok(IfNoneMatch::Any) => true,
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    };
    let status = if known {
        StatusCode::NOT_MODIFIED
    } else {
        StatusCode::OK
    };
    let mut response = HttpResponse::build(status);
    response.insert_header(header::ETag(tag));
    add(&mut response);
    if known {
        response.finish()
    } else {
        response.content_type(media_type).body(body)
    }
}

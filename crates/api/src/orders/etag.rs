//! Entity tags (RFC 9110, section 8.8.3): a client that has the current representation gets 304 without a
//! body.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, EntityTag, Header, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use serde::Serialize;

use crate::problem::Problem;

/// Revalidate every time, and not in shared caches: an order belongs to one customer and may change at any
/// time.
const CACHE_CONTROL: (header::HeaderName, &str) = (header::CACHE_CONTROL, "private, no-cache");

/// The body with its tag, or 304 if the client has it.
pub(super) fn respond(request: &HttpRequest, body: &impl Serialize) -> Result<HttpResponse, Problem> {
    let body = serde_json::to_vec(body).map_err(|error| Problem::internal(&error))?;
    let hash = digest(&SHA256, &body);
    let tag = EntityTag::new_strong(URL_SAFE_NO_PAD.encode(hash));
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
    response
        .insert_header(CACHE_CONTROL)
        .insert_header(header::ETag(tag));
    Ok(if known {
        response.finish()
    } else {
        response.content_type(header::ContentType::json()).body(body)
    })
}

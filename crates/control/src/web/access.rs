//! Who may use the control room: a browser that once opened the address with the token of the run, on this
//! machine. A page of another site can neither read it nor act.

use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpResponse};

use super::shared::Shared;

/// Only scripts, styles, images, requests and forms of this origin; no embedding in frames.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// The middleware: nothing but the files of the page is open to others.
pub(super) async fn guard(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let Some(shared) = request.app_data::<Data<Shared>>().cloned() else {
        return Ok(refuse(request, StatusCode::INTERNAL_SERVER_ERROR, "No state."));
    };
    let host = request.headers().get(header::HOST).map(HeaderValue::as_bytes);
    if host.is_none() || !settings::is_local_host(host, "localhost") {
        let text = "This name is not one of this machine: use 127.0.0.1.";
        return Ok(refuse(request, StatusCode::MISDIRECTED_REQUEST, text));
    }
    let (method, path) = (request.method().clone(), request.path().to_owned());
    if method == Method::GET
        && path == "/"
        && let Some(cookie) = shared.keys.exchange(request.query_string())
    {
        // The address bar and the history do not hold the token.
        let response = HttpResponse::SeeOther()
            .insert_header((header::LOCATION, "/"))
            .insert_header((header::SET_COOKIE, cookie))
            .insert_header((header::CACHE_CONTROL, "no-store"))
            .insert_header((header::REFERRER_POLICY, "no-referrer"))
            .finish();
        return Ok(request.into_response(response.map_into_right_body()));
    }
    if !path.starts_with("/assets/") && !shared.keys.admits(&method, request.headers()) {
        let text = "Open the address that `cargo xtask up` printed: it has the token of this run. \
                    `cargo xtask up` prints it again. If you came by a link of another page, reload.";
        return Ok(refuse(request, StatusCode::UNAUTHORIZED, text));
    }
    if method != Method::GET && method != Method::HEAD && !is_same_origin(request.headers()) {
        let text = "This request did not come from a page of the control room, and changed nothing.";
        return Ok(refuse(request, StatusCode::FORBIDDEN, text));
    }
    let mut response = next.call(request).await?.map_into_left_body();
    protect(response.headers_mut());
    Ok(response)
}

fn refuse<B: MessageBody>(
    request: ServiceRequest,
    status: StatusCode,
    text: &'static str,
) -> ServiceResponse<EitherBody<B>> {
    let mut response = HttpResponse::build(status)
        .content_type("text/plain; charset=utf-8")
        .body(text);
    protect(response.headers_mut());
    request.into_response(response.map_into_right_body())
}

fn protect(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // A form's Origin header is `null` under a stricter policy.
        (header::REFERRER_POLICY, "same-origin"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// Browsers say where a request comes from.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let header = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    settings::is_same_origin(
        header(SEC_FETCH_SITE),
        header(header::ORIGIN),
        header(header::HOST),
    )
}

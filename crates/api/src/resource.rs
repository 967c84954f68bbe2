//! Resources with a fixed set of methods.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::web;
use actix_web::{FromRequest, Handler, HttpRequest, Resource, Responder, Route, guard};

use crate::problem::Problem;

/// A path with the methods in `allow`. Any other method gets 405 with the list of them (RFC 9110, section
/// 15.5.6).
pub(crate) fn resource(path: &str, allow: &'static str) -> Resource {
    let method_not_allowed = move |request: HttpRequest| async move {
        let detail = format!("{} is not supported here.", request.method());
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail);
        Err::<&str, _>(problem.with_header(header::ALLOW, HeaderValue::from_static(allow)))
    };
    web::resource(path).default_service(web::to(method_not_allowed))
}

/// GET and HEAD.
pub(crate) fn get<F, Args>(handler: F) -> Route
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::route()
        .guard(guard::Any(guard::Get()).or(guard::Head()))
        .to(handler)
}

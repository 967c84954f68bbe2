//! The middleware that writes the body of each error response, whether a handler, an extractor or the
//! framework made it. Only here are the request's path and trace known.

use actix_web::Error;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use actix_web::middleware::Next;

use crate::problem::{self, Problem};

pub(crate) async fn write(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let response = next.call(request).await?.map_into_boxed_body();
    let Some(body) = missing_body(&response) else {
        return Ok(response);
    };
    Ok(response.map_body(|head, _| {
        let headers = head.headers_mut();
        headers.insert(CONTENT_TYPE, problem::MEDIA_TYPE);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        BoxBody::new(body)
    }))
}

/// `None` for a response that is not an error, or has a body already.
fn missing_body(response: &ServiceResponse<impl MessageBody>) -> Option<Vec<u8>> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let path = response.request().path();
    match response.response().error() {
        Some(error) => Some(match error.as_error::<Problem>() {
            Some(problem) => problem.body(path),
            None => framework_problem(status).body(path),
        }),
        None => matches!(
            response.response().body().size(),
            BodySize::None | BodySize::Sized(0)
        )
        .then(|| framework_problem(status).body(path)),
    }
}

/// An error of the framework. Its own message is not shown: it is not part of this API.
fn framework_problem(status: StatusCode) -> Problem {
    let detail = if status.is_server_error() {
        problem::INTERNAL
    } else {
        "The request is not acceptable."
    };
    Problem::new(status, detail)
}

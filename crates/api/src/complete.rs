//! The middleware that every answer passes last: an error gets its body here, whoever made it, a handler, an extractor or the
//! framework; so each one names its path and its trace.

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, header};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage};
use serde_json::Value;

use crate::problem::{self, Problem};
use crate::rate_limit::{Client, Standing};
use crate::state::AppState;

pub(crate) async fn complete(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut response = limited(next.call(request).await?.map_into_boxed_body());
    let standing = response.request().extensions().get::<Standing>().copied();
    if let Some(standing) = standing {
        standing.write(response.headers_mut());
    }
    let Some(problem) = problem_of(&response) else {
        return Ok(response);
    };
    Ok(response.map_body(|head, _| {
        let headers = head.headers_mut();
        headers.insert(header::CONTENT_TYPE, problem::MEDIA_TYPE);
        headers.insert(
            header::CACHE_CONTROL,
            header::HeaderValue::from_static("no-store"),
        );
        BoxBody::new(problem.to_string())
    }))
}

/// What no caller was asked of, a page or a path that there is not, is counted by address here; 429 where it is one too many.
fn limited(response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let request = response.request();
    let counted = request.extensions().contains::<Standing>();
    let exempt = matches!(request.path(), "/health" | "/health/ready");
    let Some(state) = request.app_data::<Data<AppState>>() else {
        return response;
    };
    match &state.rate_limit {
        Some(limit) if !counted && !exempt => match limit.count(request, Client::address(request)) {
            Ok(()) => response,
            Err(problem) => response.error_response(problem),
        },
        _ => response,
    }
}

/// The body that an error still needs; `None` for an answer that is none, or has a body of its own.
fn problem_of(response: &ServiceResponse<impl MessageBody>) -> Option<Value> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    let path = response.request().path();
    match response.response().error() {
        Some(error) => Some(match error.as_error::<Problem>() {
            Some(problem) => problem.body(path),
            None => of_framework(status).body(path),
        }),
        None if response.response().body().size() == BodySize::None
            || response.response().body().size() == BodySize::Sized(0) =>
        {
            Some(of_framework(status).body(path))
        }
        None => None,
    }
}

/// What a library refuses is told by its status alone: its words are not ours.
fn of_framework(status: StatusCode) -> Problem {
    Problem::new(
        status,
        if status.is_server_error() {
            "Something went wrong on our side."
        } else {
            "The request cannot be taken."
        },
    )
}

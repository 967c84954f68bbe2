//! The errors that clients see, as `application/problem+json` (RFC 9457). This is the only place where an
//! error becomes a status; the middleware in `error_body.rs` writes the body.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use domain::{FieldError, ImpossibleTransition};
use serde_json::{Value, json};
use store::StoreError;

use crate::metrics;

/// The media type of a problem.
pub(crate) const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");
/// The detail of an error whose cause is only logged.
pub(crate) const INTERNAL: &str = "Something went wrong on our side.";
/// Seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// An error as a client sees it. Its Display form is for logs only.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<FieldError>,
    headers: Vec<(HeaderName, HeaderValue)>,
    closes: bool,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            errors: Vec::new(),
            headers: Vec::new(),
            closes: false,
        }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    pub(crate) fn order_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is no such order.")
    }

    /// The body is JSON, but these fields are invalid.
    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        Self {
            errors,
            ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "The body has invalid fields.")
        }
    }

    /// Logs the error; the client only learns that there was one.
    pub(crate) fn internal<E: std::error::Error>(error: &E) -> Self {
        telemetry::log_error!(*error, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL)
    }

    pub(crate) fn unavailable(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_soon()
    }

    /// Adds Retry-After.
    pub(crate) fn retry_soon(self) -> Self {
        self.with_header(header::RETRY_AFTER, RETRY_AFTER)
    }

    /// Closes the connection: the rest of the request is not read.
    pub(crate) fn closing(self) -> Self {
        Self { closes: true, ..self }
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The body, for the request at this path.
    pub(crate) fn body(&self, path: &str) -> Value {
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "instance": path,
            "trace_id": telemetry::span::current_trace_id(),
        });
        if !self.errors.is_empty()
            && let Some(members) = body.as_object_mut()
        {
            members.insert("errors".into(), json!(self.errors));
        }
        body
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.detail)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        for header in &self.headers {
            response.append_header(header.clone());
        }
        if self.closes {
            response.force_close();
        }
        response.finish()
    }
}

/// 503 if the store is unavailable or overloaded, or another version of the program wrote the row; else 500.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_transient() {
            telemetry::log_warn!(error, "the store is unavailable");
            return Self::unavailable("Orders are unavailable at the moment. Try again.");
        }
        if matches!(error, StoreError::Corrupt(_)) {
            telemetry::log_error!(error, "this version cannot read an order");
            metrics::order_unreadable();
            return Self::unavailable("Another version of this service can read this order. Try again.");
        }
        Self::internal(&error)
    }
}

impl From<ImpossibleTransition> for Problem {
    fn from(error: ImpossibleTransition) -> Self {
        Self::new(StatusCode::CONFLICT, sentence(&error.to_string()))
    }
}

/// Makes a sentence of a library's error message.
pub(crate) fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let text: String = first.chain(letters).collect();
    if text.ends_with('.') { text } else { text + "." }
}

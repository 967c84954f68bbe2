//! The errors that clients see, as `application/problem+json` (RFC 9457). This is the only place where an
//! error becomes a status; the middleware in `error_body.rs` writes the body.

use std::borrow::Cow;
use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::{HttpResponse, ResponseError};
use domain::{FieldError, ImpossibleTransition};
use serde::Serialize;
use store::StoreError;

use crate::metrics;

/// The media type of a problem.
pub(crate) const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");
/// The detail of an error whose cause is only logged.
pub(crate) const INTERNAL: &str = "Something went wrong on our side.";
/// Fields of one body that a problem lists; the others are only counted.
const MAX_ERRORS: usize = 100;
/// Bytes of a text that repeats what the client sent.
const MAX_TEXT: usize = 512;
/// Bytes of a problem: a rejected request gets no large response, however often the client repeats it.
const MAX_BODY: usize = 64 * 1024;
/// Seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// An error as a client sees it. Its Display form is for logs only.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    errors: FieldErrors,
    headers: Vec<(HeaderName, HeaderValue)>,
    closes: bool,
}

/// The invalid fields of a body: the first ones, and the number of the others.
#[derive(Debug, Default)]
pub(crate) struct FieldErrors {
    listed: Vec<FieldError>,
    omitted: usize,
}

impl FieldErrors {
    pub(crate) fn add(&mut self, pointer: &str, detail: &impl ToString) {
        if self.listed.len() < MAX_ERRORS {
            self.listed.push(FieldError {
                pointer: shortened(pointer).into_owned(),
                detail: shortened(&detail.to_string()).into_owned(),
            });
        } else {
            self.omitted += 1;
        }
    }

    /// An error of the member `name` of the object at `pointer` (RFC 6901).
    pub(crate) fn add_member(&mut self, pointer: &str, name: &str, detail: &impl ToString) {
        let name = name.replace('~', "~0").replace('/', "~1");
        self.add(&format!("{pointer}/{name}"), detail);
    }

    pub(crate) fn listed(&self) -> &[FieldError] {
        &self.listed
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.listed.is_empty()
    }
}

impl From<Vec<FieldError>> for FieldErrors {
    fn from(errors: Vec<FieldError>) -> Self {
        let mut all = Self::default();
        for error in errors {
            all.add(&error.pointer, &error.detail);
        }
        all
    }
}

/// The members of a problem (RFC 9457).
#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    title: Option<&'static str>,
    status: u16,
    detail: &'a str,
    instance: &'a str,
    trace_id: Option<String>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'a [FieldError],
    #[serde(skip_serializing_if = "Option::is_none")]
    omitted_errors: Option<usize>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            errors: FieldErrors::default(),
            headers: Vec::new(),
            closes: false,
        }
    }

    pub(crate) fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// The error names line and column.
    pub(crate) fn not_json(error: &serde_json::Error) -> Self {
        Self::bad_request(format!("The body is not JSON: {error}."))
    }

    pub(crate) fn order_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is no such order.")
    }

    /// The body is JSON, but these fields are invalid.
    pub(crate) fn invalid(errors: impl Into<FieldErrors>) -> Self {
        Self {
            errors: errors.into(),
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

    /// Whether the order does not exist, or its state does not allow the change.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self.status, StatusCode::NOT_FOUND | StatusCode::CONFLICT)
    }

    /// What happened, for a person.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// Headers of the response, such as Allow and Retry-After.
    pub(crate) fn headers(&self) -> &[(HeaderName, HeaderValue)] {
        &self.headers
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

    /// The body, for the request at this path: at most 100 errors, and at most 64 KiB.
    pub(crate) fn body(&self, path: &str) -> Vec<u8> {
        let mut errors = self.errors.listed.as_slice();
        loop {
            let omitted = self.errors.listed.len() - errors.len() + self.errors.omitted;
            let body = Body {
                r#type: "about:blank",
                title: self.status.canonical_reason(),
                status: self.status.as_u16(),
                detail: &shortened(&self.detail),
                instance: &shortened(path),
                trace_id: telemetry::span::current_trace_id(),
                errors,
                omitted_errors: (omitted > 0).then_some(omitted),
            };
            // Texts and numbers: serializing them does not fail.
            let body = serde_json::to_vec(&body).unwrap_or_default();
            if body.len() <= MAX_BODY || errors.is_empty() {
                return body;
            }
            // Escaped, a text may be six times as long.
            errors = errors.get(..errors.len() / 2).unwrap_or_default();
        }
    }
}

/// At most [`MAX_TEXT`] bytes of a text.
fn shortened(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_TEXT {
        return text.into();
    }
    let mut ends = (0..=MAX_TEXT).rev().filter(|end| text.is_char_boundary(*end));
    let end = ends.next().unwrap_or_default();
    format!("{}…", text.get(..end).unwrap_or_default()).into()
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

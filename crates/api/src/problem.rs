//! Every error that leaves the service, as `application/problem+json` (RFC 9457). The one place where an error becomes a status.

use std::fmt;

use actix_web::error::{JsonPayloadError, PathError, QueryPayloadError};
use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, ResponseError};
use domain::{FieldError, ImpossibleTransition};
use serde_json::json;
use store::StoreError;

const CONTENT_TYPE: &str = "application/problem+json";
/// What a client is told to wait, in seconds, when the service cannot serve it at the moment.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// An error as a client sees it.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
    errors: Vec<FieldError>,
    instance: Option<String>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            detail: detail.into(),
            errors: Vec::new(),
            instance: None,
        }
    }

    pub(crate) fn order_not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "There is no such order.")
    }

    pub(crate) fn invalid(errors: Vec<FieldError>) -> Self {
        Self {
            errors,
            ..Self::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "The body has fields that cannot be taken.",
            )
        }
    }

    fn at(self, request: &HttpRequest) -> Self {
        Self {
            instance: Some(request.path().to_owned()),
            ..self
        }
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
        let mut body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason(),
            "status": self.status.as_u16(),
            "detail": self.detail,
            "instance": self.instance,
            "trace_id": telemetry::span::current_trace_id(),
        });
        if !self.errors.is_empty()
            && let Some(members) = body.as_object_mut()
        {
            members.insert("errors".into(), json!(self.errors));
        }
        let mut response = HttpResponse::build(self.status);
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.insert_header((header::RETRY_AFTER, RETRY_AFTER));
        }
        response.content_type(CONTENT_TYPE).body(body.to_string())
    }
}

/// A store that is away or overloaded is worth another try; anything else is an error of ours, whose detail stays in the log.
impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        if error.is_transient() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the order store is not available"
            );
            return Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "Orders cannot be reached at the moment. Try again.",
            );
        }
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the order store failed"
        );
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong on our side.",
        )
    }
}

impl From<ImpossibleTransition> for Problem {
    fn from(error: ImpossibleTransition) -> Self {
        Self::new(StatusCode::CONFLICT, sentence(&error.to_string()))
    }
}

/// What actix says of a body that is no JSON of the right shape.
pub(crate) fn bad_json(error: JsonPayloadError, request: &HttpRequest) -> actix_web::Error {
    let problem = match &error {
        JsonPayloadError::ContentType => Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "The body has to be application/json.",
        ),
        JsonPayloadError::Overflow { limit }
        | JsonPayloadError::OverflowKnownLength { limit, .. } => Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("The body may have at most {limit} bytes."),
        ),
        JsonPayloadError::Deserialize(error) if error.is_data() => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            sentence(&error.to_string()),
        ),
        JsonPayloadError::Deserialize(error) => Problem::new(
            StatusCode::BAD_REQUEST,
            format!("The body is not JSON: {error}."),
        ),
        _ => Problem::new(StatusCode::BAD_REQUEST, "The body could not be read."),
    };
    problem.at(request).into()
}

pub(crate) fn bad_path(_: PathError, request: &HttpRequest) -> actix_web::Error {
    Problem::order_not_found().at(request).into()
}

pub(crate) fn bad_query(error: QueryPayloadError, request: &HttpRequest) -> actix_web::Error {
    let detail = match error {
        QueryPayloadError::Deserialize(error) => sentence(&error.to_string()),
        _ => "The query could not be read.".to_owned(),
    };
    Problem::new(StatusCode::BAD_REQUEST, detail)
        .at(request)
        .into()
}

/// Libraries write fragments; people read sentences.
fn sentence(fragment: &str) -> String {
    let mut letters = fragment.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    let text: String = first.chain(letters).collect();
    if text.ends_with('.') {
        text
    } else {
        text + "."
    }
}

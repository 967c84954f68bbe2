//! The middleware that names each request in `X-Request-Id`, for a client's report and a proxy's log.

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::middleware::Next;
use telemetry::span;
use uuid::Uuid;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of an id that a caller chooses.
const MAX_LENGTH: usize = 128;

/// The caller's id if it is usable, else the trace id; a new one for a request that is not traced.
pub(crate) async fn add<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let own = callers(&request);
    let id = own
        .or_else(span::current_trace_id)
        .unwrap_or_else(|| Uuid::new_v4().to_string());
    let value = HeaderValue::try_from(&id);
    let mut response = span::with_request_id(id, next.call(request)).await?;
    if let Ok(value) = value {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    Ok(response)
}

fn callers(request: &ServiceRequest) -> Option<String> {
    let mut values = request.headers().get_all(REQUEST_ID);
    let (Some(value), None) = (values.next(), values.next()) else {
        return None;
    };
    let id = value.to_str().ok()?;
    let is_usable = (1..=MAX_LENGTH).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
    is_usable.then(|| id.to_owned())
}

//! An open service on loopback serves this machine alone, also if a browser's page resolves another name to
//! it.

use actix_web::Error;
use actix_web::body::{EitherBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, HeaderValue};
use actix_web::middleware::Next;
use actix_web::web::Data;

use crate::problem::Problem;

/// The value of HOST, in the application's data.
pub(crate) struct OwnHost(pub(crate) String);

/// Refuses a request for a name that is not this machine's, as a page of another site could send it after its
/// name resolves to 127.0.0.1.
pub(crate) async fn enforce<B: MessageBody>(
    host: Data<OwnHost>,
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B>>, Error> {
    let header = request.headers().get(HOST).map(HeaderValue::as_bytes);
    if settings::is_local_host(header, &host.0) {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let detail = "This name is not one of this machine. Use localhost, or set HOST.";
    let problem = Problem::new(StatusCode::MISDIRECTED_REQUEST, detail);
    // Not an `Err`: that would skip the middlewares around this one, which complete each response.
    Ok(request.error_response(problem).map_into_right_body())
}

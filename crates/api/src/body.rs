//! Extracts the bytes of a JSON body, and checks its media type and size. Parsing is left to the handler.

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentLength};
use actix_web::web::{Bytes, BytesMut, Data};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::StreamExt;
use futures_util::future::LocalBoxFuture;

use crate::deadline::Deadline;
use crate::problem::Problem;
use crate::state::AppState;

/// The bytes of a body whose media type is JSON.
pub(crate) struct JsonBytes(pub(crate) Bytes);

impl FromRequest for JsonBytes {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            check_media_type(&request)?;
            let limit = request
                .app_data::<Data<AppState>>()
                .map_or(0, |state| state.http.body_limit);
            Deadline::set_reading(&request, true);
            let body = read(&request, payload, limit).await?;
            Deadline::set_reading(&request, false);
            Ok(Self(body))
        })
    }
}

fn check_media_type(request: &HttpRequest) -> Result<(), Problem> {
    let unsupported = |detail| Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail);
    let json = match request.mime_type() {
        Ok(Some(mime)) => mime.subtype() == "json" || mime.suffix().is_some_and(|s| s == "json"),
        _ => false,
    };
    if !json {
        return Err(unsupported("The body has to be application/json."));
    }
    match request.headers().get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => {
            Err(unsupported("The body has to come without a Content-Encoding."))
        }
        _ => Ok(()),
    }
}

async fn read(request: &HttpRequest, mut payload: Payload, limit: usize) -> Result<Bytes, Problem> {
    let content_length = request.get_header::<ContentLength>().map_or(0, |length| *length);
    if content_length > limit {
        return Err(too_large(limit));
    }
    let mut body = BytesMut::with_capacity(content_length);
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|error| unreadable(&error))?;
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(too_large(limit));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn too_large(limit: usize) -> Problem {
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("The body may have at most {limit} bytes."),
    )
    .closing()
}

fn unreadable(error: &PayloadError) -> Problem {
    tracing::debug!(%error, "cannot read a body");
    Problem::bad_request("The body could not be read.")
}

//! Reads the bytes of a JSON body, and checks its media type and size. Parsing is left to the handler.

use std::convert::Infallible;
use std::future::{Ready, ready};

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::StatusCode;
use actix_web::http::header::{self, ContentLength};
use actix_web::web::{Bytes, BytesMut};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use futures_util::StreamExt;

use crate::caller::{Caller, Scope};
use crate::deadline::Deadline;
use crate::problem::Problem;
use crate::state::AppState;

/// A body that is not read yet.
pub(crate) struct JsonBody(Payload);

impl FromRequest for JsonBody {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(_: &HttpRequest, payload: &mut Payload) -> Self::Future {
        ready(Ok(Self(payload.take())))
    }
}

impl JsonBody {
    /// Reads the body. Only for a known caller: memory for bodies is limited per customer.
    pub(crate) async fn read<S: Scope>(
        self,
        request: &HttpRequest,
        state: &AppState,
        caller: &Caller<S>,
    ) -> Result<Bytes, Problem> {
        check_media_type(request)?;
        let limit = state.http.body_limit;
        let length = request
            .get_header::<ContentLength>()
            .map_or(limit, |length| *length);
        if length > limit {
            return Err(too_large(limit));
        }
        state.hold(request, caller.limited(), length)?;
        Deadline::set_reading(request, true);
        let body = collect(self.0, length, limit).await?;
        Deadline::set_reading(request, false);
        Ok(body)
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
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => {
            Err(unsupported("The body has to come without a Content-Encoding."))
        }
        _ => Ok(()),
    }
}

async fn collect(mut payload: Payload, length: usize, limit: usize) -> Result<Bytes, Problem> {
    let mut body = BytesMut::with_capacity(length);
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

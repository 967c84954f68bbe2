//! The response of a stream of server-sent events.

use actix_web::http::{Method, header};
use actix_web::web::Bytes;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use futures_util::Stream;

use crate::reservation::Reservation;

/// Streams these events, and holds the reservation meanwhile.
pub(crate) fn respond<S, E>(request: &HttpRequest, reservation: Reservation, events: S) -> HttpResponse
where
    S: Stream<Item = Result<Bytes, E>> + 'static,
    E: Into<Box<dyn std::error::Error>> + 'static,
{
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Otherwise nginx holds events back until its buffer is full.
        .insert_header(("X-Accel-Buffering", "no"));
    if request.method() == Method::HEAD {
        // actix would wait for the end of the stream before it responds.
        return response.finish();
    }
    request.extensions_mut().insert(reservation);
    response.streaming(events)
}

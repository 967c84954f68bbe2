//! The middleware that reports to the socket which request is served, and sends bodies in chunks.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::web::Bytes;
use actix_web::{Error, HttpMessage};
use tokio::time::Instant;

use super::progress::Progress;
use crate::reservation::Reservation;

/// Bytes of a body that are handed on at a time.
pub(super) const CHUNK: usize = 6 * 1024;

/// The middleware. A request is being served until its response body is sent or dropped.
pub(crate) async fn track<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<TrackedBody<B>>, Error> {
    let progress = request.request().conn_data::<Rc<Progress>>();
    let serving = progress.map(|progress| {
        progress.serving.set(true);
        progress.ahead.serve();
        Serving(Rc::clone(progress))
    });
    let response = next.call(request).await?;
    if let Some(Serving(progress)) = &serving {
        let is_stream = matches!(response.response().body().size(), BodySize::Stream);
        progress.streaming.set(is_stream);
    }
    let reservation = response.request().extensions_mut().remove();
    Ok(response.map_body(|_, body| TrackedBody {
        body,
        rest: Bytes::new(),
        _serving: serving,
        _reservation: reservation,
    }))
}

/// A request that is being served.
#[derive(Debug)]
struct Serving(Rc<Progress>);

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.serving.set(false);
        self.0.since.set(Instant::now());
    }
}

pin_project_lite::pin_project! {
    /// A response body whose request is being served until it is dropped. Hands it on in chunks.
    pub(crate) struct TrackedBody<B> {
        #[pin]
        body: B,
        rest: Bytes,
        _serving: Option<Serving>,
        _reservation: Option<Reservation>,
    }
}

impl<B: MessageBody> MessageBody for TrackedBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.project();
        if this.rest.is_empty() {
            match this.body.poll_next(task) {
                Poll::Ready(Some(Ok(chunk))) => *this.rest = chunk,
                other => return other,
            }
        }
        let length = this.rest.len().min(CHUNK);
        Poll::Ready(Some(Ok(this.rest.split_to(length))))
    }
}

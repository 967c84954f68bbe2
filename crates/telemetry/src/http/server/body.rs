//! A response body that ends the request's span with its last byte, or when it is dropped.

use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::ServiceResponse;
use actix_web::http::StatusCode;
use actix_web::web::Bytes;

use super::request::Request;
use crate::operation::CANCELLED;

/// Moves the request into the response's body, or ends it if the body is not sent and so never polled.
pub(super) fn trace<B: MessageBody>(
    mut request: Request,
    mut response: ServiceResponse<B>,
) -> ServiceResponse<TracedBody<B>> {
    request.head(&mut response);
    let status = response.status();
    let size = response.response().body().size();
    if request.is_head || is_without_body(status) || matches!(size, BodySize::None | BodySize::Sized(0)) {
        request.end(status);
        return response.map_body(|_, body| TracedBody::untraced(body));
    }
    response.map_body(|_, body| TracedBody {
        body,
        open: Some(Open { request, status }),
    })
}

/// Whether the response has no body by RFC 9110, section 6.4.1.
fn is_without_body(status: StatusCode) -> bool {
    matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

#[derive(Debug)]
struct Open {
    request: Request,
    status: StatusCode,
}

pin_project_lite::pin_project! {
    /// A response body that ends its request's span.
    #[derive(Debug)]
    pub struct TracedBody<B> {
        #[pin]
        body: B,
        open: Option<Open>,
    }

    impl<B> PinnedDrop for TracedBody<B> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(open) = this.project().open.take() {
                open.request.end_incomplete(open.status, CANCELLED);
            }
        }
    }
}

impl<B> TracedBody<B> {
    pub(super) fn untraced(body: B) -> Self {
        Self { body, open: None }
    }
}

impl<B: MessageBody> MessageBody for TracedBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.project();
        let polled = {
            let context = this.open.as_ref().map(|open| open.request.context());
            let _entered = context.map(|context| context.clone().attach());
            this.body.poll_next(task)
        };
        let ended = match &polled {
            Poll::Ready(None) => this.open.take().map(|open| (open, None)),
            Poll::Ready(Some(Err(_))) => this.open.take().map(|open| (open, Some("body"))),
            Poll::Ready(Some(Ok(chunk))) => {
                if let Some(open) = this.open.as_mut() {
                    open.request.sent(chunk.len());
                }
                None
            }
            Poll::Pending => None,
        };
        match ended {
            Some((open, None)) => open.request.end(open.status),
            Some((open, Some(error))) => open.request.end_incomplete(open.status, error),
            None => {}
        }
        polled
    }
}

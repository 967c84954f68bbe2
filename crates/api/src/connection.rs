//! Closes connections that a slow client holds without progress. actix limits the first request head and the
//! idle time; it does not limit a later head that never ends, the rest of a rejected body, or a response that
//! the client does not read. Each of these may take a [`StallTimeout`]. A reverse proxy can do the same, but
//! the service must not depend on one.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::Error;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Extensions, ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::config::HttpConfig;

/// How long a client may hold a connection without progress: an idle time and a request head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StallTimeout(Duration);

impl From<&HttpConfig> for StallTimeout {
    fn from(http: &HttpConfig) -> Self {
        Self(http.keep_alive.saturating_add(http.request_timeout))
    }
}

/// Shared by a socket and the requests on it, all on one thread.
#[derive(Debug)]
struct Progress {
    /// Whether a request is being served: then the client waits for the service.
    serving: Cell<bool>,
    /// The time of the last progress.
    since: Cell<Instant>,
}

/// A socket that fails with `TimedOut` after a stall.
pub(crate) struct Socket {
    stream: TcpStream,
    stall_timeout: Duration,
    progress: Rc<Progress>,
    /// Since when the client does not receive what the service sends.
    blocked: Option<Instant>,
    /// Fires no later than the stall timeout. Only reset after it fired, so that requests do not pay for it.
    timer: Pin<Box<Sleep>>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, StallTimeout(stall_timeout): StallTimeout) -> Self {
        set_user_timeout(&stream, stall_timeout);
        let now = Instant::now();
        Self {
            stream,
            stall_timeout,
            progress: Rc::new(Progress {
                serving: Cell::new(false),
                since: Cell::new(now),
            }),
            blocked: None,
            timer: Box::pin(sleep_until(now + stall_timeout)),
        }
    }

    /// Gives the requests on this connection access to its progress.
    pub(crate) fn register(&self, data: &mut Extensions) {
        data.insert(Rc::clone(&self.progress));
    }

    /// The result of an operation that is pending: still pending, or failed after a stall. Wakes the task
    /// when that is due.
    fn pending<T>(&mut self, task: &mut Context<'_>) -> Poll<io::Result<T>> {
        while self.timer.as_mut().poll(task).is_ready() {
            let now = Instant::now();
            let since = match self.blocked {
                Some(blocked) => blocked,
                None if self.progress.serving.get() => now,
                None => self.progress.since.get(),
            };
            let end = since + self.stall_timeout;
            if end <= now {
                tracing::debug!("closed a stalled connection");
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.timer.as_mut().reset(end);
        }
        Poll::Pending
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.stream).poll_read(task, buffer) {
            Poll::Pending => self.pending(task),
            ready => ready,
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(task, bytes) {
            Poll::Pending => {
                self.blocked.get_or_insert_with(Instant::now);
                self.pending(task)
            }
            ready => {
                if self.blocked.take().is_some() {
                    self.progress.since.set(Instant::now());
                }
                ready
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(task)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(task)
    }
}

/// Ends the connection to a peer that vanished and acknowledges nothing. By default Linux retries for 15
/// minutes.
#[cfg(target_os = "linux")]
fn set_user_timeout(stream: &TcpStream, timeout: Duration) {
    let milliseconds = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, milliseconds) {
        tracing::debug!(%error, "cannot set TCP_USER_TIMEOUT");
    }
}

#[cfg(not(target_os = "linux"))]
fn set_user_timeout(_: &TcpStream, _: Duration) {}

/// The middleware. A request is being served until its response body is sent or dropped.
pub(crate) async fn track<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<TrackedBody<B>>, Error> {
    let progress = request.request().conn_data::<Rc<Progress>>();
    let serving = progress.map(|progress| {
        progress.serving.set(true);
        Serving(Rc::clone(progress))
    });
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| TrackedBody {
        body,
        _serving: serving,
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
    /// A response body whose request is being served until it is dropped.
    pub(crate) struct TrackedBody<B> {
        #[pin]
        body: B,
        _serving: Option<Serving>,
    }
}

impl<B: MessageBody> MessageBody for TrackedBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.project().body.poll_next(task)
    }
}

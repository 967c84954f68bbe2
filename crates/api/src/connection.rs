//! A client's connection, and when it is given up. actix times the first head of a connection and the pause between two requests; this
//! ends what it has no time for: a later head that never ends, the rest of a body that was refused, an answer that nobody reads. Each
//! of them holds a connection for [`Patience`] at most.

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

/// How long a client may hold a connection on which nothing gets done.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience(Duration);

impl Patience {
    /// The longest pause between two requests, and the longest time that a head may take.
    pub(crate) fn of(http: &HttpConfig) -> Self {
        Self(http.keep_alive.saturating_add(http.request_timeout))
    }
}

/// What the requests on a connection tell its socket. All of it is on one thread.
#[derive(Debug)]
struct Progress {
    /// Whether a request is in service: then it is the client who waits.
    serving: Cell<bool>,
    /// When something was last done for the client.
    since: Cell<Instant>,
}

/// A socket that fails once the client has held it for too long.
pub(crate) struct Socket {
    stream: TcpStream,
    patience: Duration,
    progress: Rc<Progress>,
    /// Since when the client takes nothing of what is to be sent to it.
    blocked: Option<Instant>,
    /// Never later than the moment at which the client is given up. It is moved only when it has passed, so that requests cost nothing.
    timer: Pin<Box<Sleep>>,
}

impl Socket {
    pub(crate) fn new(stream: TcpStream, Patience(patience): Patience) -> Self {
        give_up_dead_peers(&stream, patience);
        let now = Instant::now();
        Self {
            stream,
            patience,
            progress: Rc::new(Progress {
                serving: Cell::new(false),
                since: Cell::new(now),
            }),
            blocked: None,
            timer: Box::pin(sleep_until(now + patience)),
        }
    }

    /// Lets the requests on this connection tell of their progress.
    pub(crate) fn register(&self, data: &mut Extensions) {
        data.insert(Rc::clone(&self.progress));
    }

    /// What became of a pending operation: pending, or failed because the client was given up. Wakes the task when it is time.
    fn pending<T>(&mut self, task: &mut Context<'_>) -> Poll<io::Result<T>> {
        while self.timer.as_mut().poll(task).is_ready() {
            let now = Instant::now();
            let since = match self.blocked {
                Some(blocked) => blocked,
                None if self.progress.serving.get() => now,
                None => self.progress.since.get(),
            };
            let end = since + self.patience;
            if end <= now {
                tracing::debug!("a client that held its connection was cut off");
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

/// A peer that vanished acknowledges nothing. By itself, Linux would go on sending for a quarter of an hour.
#[cfg(target_os = "linux")]
fn give_up_dead_peers(stream: &TcpStream, patience: Duration) {
    let milliseconds = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, milliseconds) {
        tracing::debug!(%error, "TCP_USER_TIMEOUT cannot be set");
    }
}

#[cfg(not(target_os = "linux"))]
fn give_up_dead_peers(_: &TcpStream, _: Duration) {}

/// The middleware: a request is in service until its answer's body has been handed on, or is dropped.
pub(crate) async fn watch<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<Watched<B>>, Error> {
    let progress = request.request().conn_data::<Rc<Progress>>();
    let serving = progress.map(|progress| Serving::start(Rc::clone(progress)));
    let response = next.call(request).await?;
    Ok(response.map_body(|_, body| Watched {
        body,
        _serving: serving,
    }))
}

/// A request in service.
#[derive(Debug)]
struct Serving(Rc<Progress>);

impl Serving {
    fn start(progress: Rc<Progress>) -> Self {
        progress.serving.set(true);
        Self(progress)
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.0.serving.set(false);
        self.0.since.set(Instant::now());
    }
}

pin_project_lite::pin_project! {
    /// A body whose request is in service until it is dropped.
    pub(crate) struct Watched<B> {
        #[pin]
        body: B,
        _serving: Option<Serving>,
    }
}

impl<B: MessageBody> MessageBody for Watched<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        self.project().body.poll_next(task)
    }
}

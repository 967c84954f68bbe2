//! A socket that bounds how long a client may stall.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::ahead::Ahead;
use super::progress::Progress;
use crate::config::HttpConfig;

/// actix sends what it has once it has so many bytes, more than a response's head. One more chunk fits into
/// the buffer of 8 KiB that it allocates for each connection, so the buffer does not grow.
pub(crate) const WRITE_BUFFER: usize = 2 * 1024;
/// A client that reads a response slower than this, in bytes per second, is cut off. Event streams are not
/// responses of this kind.
const LEAST_RATE: u64 = 4 * 1024;
/// A response that is not read to its end after this time is cut off. Event streams are not.
const MAX_READING_TIME: Duration = Duration::from_secs(300);
/// How long a client may hold a connection without progress: an idle time and a request head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StallTimeout(Duration);

impl From<&HttpConfig> for StallTimeout {
    fn from(http: &HttpConfig) -> Self {
        Self(http.keep_alive.saturating_add(http.request_timeout))
    }
}

/// A response that the client does not read as fast as it is sent.
#[derive(Debug)]
struct Slow {
    since: Instant,
    sent: u64,
}

impl Slow {
    /// When the client is too slow, if it receives nothing more.
    fn end(&self, stall_timeout: Duration) -> Instant {
        let allowed = stall_timeout + Duration::from_secs(self.sent / LEAST_RATE);
        self.since + allowed.min(MAX_READING_TIME)
    }
}

/// A socket that fails with `TimedOut` after a stall, or if the client reads too slowly.
pub(crate) struct Socket<T = TcpStream> {
    stream: T,
    stall_timeout: Duration,
    progress: Rc<Progress>,
    /// Since when the client does not receive what the service sends.
    blocked: Option<Instant>,
    /// Since the client was first slow, until it has received all.
    slow: Option<Slow>,
    /// Whether all that was received is read, so that actix has begun to serve it.
    all_read: bool,
    /// Fires no later than the stall timeout. Only reset after it fired, so that requests do not pay for it.
    timer: Pin<Box<Sleep>>,
}

impl Socket {
    pub(crate) fn of(stream: TcpStream, timeout: StallTimeout) -> Self {
        set_user_timeout(&stream, timeout.0);
        Self::new(stream, timeout)
    }
}

impl<T> Socket<T> {
    fn new(stream: T, StallTimeout(stall_timeout): StallTimeout) -> Self {
        let now = Instant::now();
        Self {
            stream,
            stall_timeout,
            progress: Rc::new(Progress {
                serving: Cell::new(false),
                since: Cell::new(now),
                streaming: Cell::new(false),
                ahead: Ahead::default(),
            }),
            blocked: None,
            slow: None,
            all_read: false,
            timer: Box::pin(sleep_until(now + stall_timeout)),
        }
    }

    /// Gives the requests on this connection access to its progress.
    pub(crate) fn register(&self, data: &mut Extensions) {
        data.insert(Rc::clone(&self.progress));
    }

    /// The result of an operation that is pending: still pending, or failed after a stall. Wakes the task
    /// when that is due.
    fn pending<R>(&mut self, task: &mut Context<'_>) -> Poll<io::Result<R>> {
        while self.timer.as_mut().poll(task).is_ready() {
            let now = Instant::now();
            let since = match self.blocked {
                Some(blocked) => blocked,
                None if self.progress.serving.get() => now,
                None => self.progress.since.get(),
            };
            let mut end = since + self.stall_timeout;
            if let Some(slow) = &self.slow
                && !self.progress.streaming.get()
            {
                end = end.min(slow.end(self.stall_timeout));
            }
            if end <= now {
                tracing::debug!("closed a stalled connection");
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.timer.as_mut().reset(end);
        }
        Poll::Pending
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Socket<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        task: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // A client that does not read its responses sends no further requests.
        if self.blocked.is_some() {
            return self.pending(task);
        }
        let served = self.progress.serving.get();
        if self.all_read && !served {
            self.progress.ahead.clear_requests();
        }
        let filled = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(task, buffer);
        self.all_read = read.is_pending();
        if self.all_read {
            return self.pending(task);
        }
        let bytes = buffer.filled().get(filled..).unwrap_or_default();
        if self.progress.ahead.grow(bytes, served) {
            read
        } else {
            tracing::debug!("closed a connection: clients have sent too much ahead");
            Poll::Ready(Err(io::ErrorKind::OutOfMemory.into()))
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Socket<T> {
    fn poll_write(mut self: Pin<&mut Self>, task: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.stream).poll_write(task, bytes) {
            Poll::Pending => {
                let now = Instant::now();
                self.blocked.get_or_insert(now);
                self.slow.get_or_insert(Slow { since: now, sent: 0 });
                self.pending(task)
            }
            ready => {
                if let (Some(slow), Poll::Ready(Ok(sent))) = (&mut self.slow, &ready) {
                    slow.sent = slow.sent.saturating_add(u64::try_from(*sent).unwrap_or(u64::MAX));
                }
                if self.blocked.take().is_some() {
                    self.progress.since.set(Instant::now());
                    // Nothing was read meanwhile, so nothing else would wake the task for a request.
                    task.waker().wake_by_ref();
                }
                ready
            }
        }
    }

    /// Called once all is sent that was to be sent.
    fn poll_flush(mut self: Pin<&mut Self>, task: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.progress.serving.get() {
            self.slow = None;
        }
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
    use tokio::time::sleep;

    use super::*;
    use crate::connection::track::CHUNK;

    const STALL_TIMEOUT: Duration = Duration::from_secs(85);

    /// How long a response that does not end is sent to a client that reads `rate` bytes a second.
    async fn time_until_cut_off(rate: usize, streaming: bool) -> Duration {
        let (stream, mut client) = duplex(16 * 1024);
        let mut socket = Socket::new(stream, StallTimeout(STALL_TIMEOUT));
        socket.progress.serving.set(true);
        socket.progress.streaming.set(streaming);
        let start = Instant::now();
        let read = async {
            let mut second = vec![0; rate];
            while client.read_exact(&mut second).await.is_ok() && start.elapsed() < 4 * MAX_READING_TIME {
                sleep(Duration::from_secs(1)).await;
            }
            drop(client);
        };
        let send = async {
            let chunk = vec![0; CHUNK];
            while socket.write_all(&chunk).await.is_ok() {}
            let time = start.elapsed();
            drop(socket);
            time
        };
        tokio::join!(send, read).0
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_too_slowly_is_cut_off() {
        let slow = time_until_cut_off(1024, false).await;
        assert!(STALL_TIMEOUT <= slow && slow < 2 * STALL_TIMEOUT, "{slow:?}");
        let fast = time_until_cut_off(2 * 4096, false).await;
        assert!(
            MAX_READING_TIME <= fast && fast < MAX_READING_TIME + STALL_TIMEOUT,
            "{fast:?}"
        );
        let stream = time_until_cut_off(1024, true).await;
        assert!(stream >= 4 * MAX_READING_TIME, "{stream:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_does_not_read_sends_no_more_requests() {
        let (stream, mut client) = duplex(1024);
        let mut socket = Socket::new(stream, StallTimeout(STALL_TIMEOUT));
        client.write_all(b"next").await.unwrap();
        let (mut next, mut all) = ([0; 4], [0; 4096]);
        tokio::select! {
            biased;
            sent = socket.write_all(&[0; 2048]) => panic!("{sent:?}"),
            () = sleep(Duration::from_secs(1)) => {}
        }
        let blocked = tokio::time::timeout(Duration::from_secs(1), socket.read_exact(&mut next)).await;
        assert!(blocked.is_err());
        let received = client.read(&mut all).await.unwrap();
        assert_eq!(received, 1024);
        socket.write_all(&[0; 1024]).await.unwrap();
        socket.read_exact(&mut next).await.unwrap();
        assert_eq!(&next, b"next");
    }
}

//! A TCP proxy in front of a server, for tests of what happens when the network fails while the server lives.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Mutex, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::ports::{address, free_port};

/// A proxy that forwards bytes until a test makes it fail. Dropping it cuts all connections.
#[derive(Debug)]
pub struct Proxy {
    url: url::Url,
    address: SocketAddr,
    controls: Controls,
    /// `None` while cut.
    running: Mutex<Option<Running>>,
}

/// What a test may change while connections are open.
#[derive(Debug)]
struct Controls {
    /// Address of the server for new connections.
    target: watch::Sender<String>,
    latency: watch::Sender<Duration>,
    swallowed: watch::Sender<Swallowed>,
}

/// How often [`Proxy::swallow`] and [`Proxy::swallow_responses`] were called. A connection that is older than
/// the last call forwards nothing any more.
#[derive(Clone, Copy, Debug, Default)]
struct Swallowed {
    requests: u32,
    responses: u32,
}

#[derive(Debug)]
struct Running {
    cut: DropGuard,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port and forwards connections to the server of this URL.
    ///
    /// # Errors
    /// When the URL names no host and port, or no port is free.
    pub async fn start(url: &str) -> anyhow::Result<Self> {
        let mut url: url::Url = url.parse().context("not a URL")?;
        let target = address(url.as_str(), 0)?;
        let (listener, address) = listen().await?;
        let host = url.set_host(Some("127.0.0.1")).is_ok();
        let port = url.set_port(Some(address.port())).is_ok();
        anyhow::ensure!(host && port, "the URL {url} cannot name another host and port");
        let controls = Controls {
            target: watch::channel(target).0,
            latency: watch::channel(Duration::ZERO).0,
            swallowed: watch::channel(Swallowed::default()).0,
        };
        let running = Mutex::new(Some(Running::start(listener, &controls)));
        Ok(Self {
            url,
            address,
            controls,
            running,
        })
    }

    /// The server's URL, through the proxy.
    #[must_use]
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Drops every connection and refuses new ones until [`Proxy::restore`].
    pub async fn cut(&self) {
        if let Some(Running { cut, accepting }) = self.running.lock().await.take() {
            drop(cut);
            // An error means that the task panicked, which has dropped its listener as well.
            let _ = accepting.await;
        }
    }

    /// Accepts connections again, on the same port.
    ///
    /// # Errors
    /// When another process has taken the port.
    pub async fn restore(&self) -> anyhow::Result<()> {
        let mut running = self.running.lock().await;
        if running.is_none() {
            let listener = TcpListener::bind(self.address)
                .await
                .context("the proxy's port is taken")?;
            *running = Some(Running::start(listener, &self.controls));
        }
        Ok(())
    }

    /// Delays each chunk of bytes by `latency`, in both directions.
    pub fn set_latency(&self, latency: Duration) {
        self.controls.latency.send_replace(latency);
    }

    /// Forwards new connections to the server of this URL; open ones are not changed.
    ///
    /// # Errors
    /// When the URL names no host and port.
    pub fn retarget(&self, url: &str) -> anyhow::Result<()> {
        self.controls.target.send_replace(address(url, 0)?);
        Ok(())
    }

    /// From now on, connections that are open now forward nothing and stay open, as if the other host had
    /// vanished.
    pub fn swallow(&self) {
        self.controls.swallowed.send_modify(|times| {
            times.requests += 1;
            times.responses += 1;
        });
    }

    /// From now on, connections that are open now forward no responses; requests still reach the server.
    pub fn swallow_responses(&self) {
        self.controls.swallowed.send_modify(|times| times.responses += 1);
    }
}

/// A listener on a port that no client connection takes while the proxy is cut.
async fn listen() -> anyhow::Result<(TcpListener, SocketAddr)> {
    loop {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        if let Ok(listener) = TcpListener::bind(address).await {
            return Ok((listener, address));
        }
    }
}

impl Running {
    fn start(listener: TcpListener, controls: &Controls) -> Self {
        let token = CancellationToken::new();
        let (cut, target) = (token.clone(), controls.target.subscribe());
        let direction = Direction {
            latency: controls.latency.subscribe(),
            swallowed: controls.swallowed.subscribe(),
            before: Swallowed::default(),
            count: |times| times.requests,
        };
        let accepting = tokio::spawn(async move {
            // Dropping this future drops the listener and all connections.
            cut.run_until_cancelled(accept(listener, target, direction)).await;
        });
        Self {
            cut: token.drop_guard(),
            accepting,
        }
    }
}

/// How the bytes of one connection and direction are forwarded.
#[derive(Clone)]
struct Direction {
    latency: watch::Receiver<Duration>,
    swallowed: watch::Receiver<Swallowed>,
    /// As it was when the connection was made.
    before: Swallowed,
    /// The count for this direction.
    count: fn(&Swallowed) -> u32,
}

impl Direction {
    fn is_swallowed(&self) -> bool {
        (self.count)(&self.swallowed.borrow()) > (self.count)(&self.before)
    }
}

async fn accept(listener: TcpListener, target: watch::Receiver<String>, direction: Direction) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let direction = Direction {
            before: *direction.swallowed.borrow(),
            ..direction.clone()
        };
        let target = target.borrow().clone();
        connections.spawn(forward(client, target, direction));
        while connections.try_join_next().is_some() {}
    }
}

/// Forwards bytes in both directions until either side closes. If the server is unreachable, the client's
/// connection is closed.
async fn forward(client: TcpStream, target: String, direction: Direction) -> std::io::Result<()> {
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    let responses = Direction {
        count: |times| times.responses,
        ..direction.clone()
    };
    tokio::try_join!(
        forward_direction(client_reads, server_writes, direction),
        forward_direction(server_reads, client_writes, responses)
    )?;
    Ok(())
}

async fn forward_direction(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
) -> std::io::Result<()> {
    let mut chunk = BytesMut::with_capacity(16 * 1024);
    while from.read_buf(&mut chunk).await? > 0 {
        if direction.is_swallowed() {
            chunk.clear();
            continue;
        }
        let latency = *direction.latency.borrow();
        if !latency.is_zero() {
            sleep(latency).await;
        }
        to.write_all_buf(&mut chunk).await?;
    }
    to.shutdown().await
}

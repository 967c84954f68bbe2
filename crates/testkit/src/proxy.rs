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

/// A proxy that passes bytes on until it is told otherwise. Dropping it cuts all connections.
#[derive(Debug)]
pub struct Proxy {
    url: url::Url,
    address: SocketAddr,
    way: Way,
    /// `None` while cut.
    running: Mutex<Option<Running>>,
}

/// What a test may change while connections are open.
#[derive(Debug)]
struct Way {
    /// Where new connections lead.
    target: watch::Sender<String>,
    latency: watch::Sender<Duration>,
    swallowed: watch::Sender<Swallowed>,
}

/// How often what connections carry was swallowed: those that were open by then carry nothing any more.
#[derive(Clone, Copy, Debug, Default)]
struct Swallowed {
    requests: u32,
    answers: u32,
}

#[derive(Debug)]
struct Running {
    cut: DropGuard,
    accepting: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port and passes connections on to the server of this URL.
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
        let way = Way {
            target: watch::channel(target).0,
            latency: watch::channel(Duration::ZERO).0,
            swallowed: watch::channel(Swallowed::default()).0,
        };
        let running = Mutex::new(Some(Running::start(listener, &way)));
        Ok(Self {
            url,
            address,
            way,
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
            // A task that panicked has dropped its listener as well.
            let _ = accepting.await;
        }
    }

    /// Takes connections again, on the same port.
    ///
    /// # Errors
    /// When somebody else has taken the port.
    pub async fn restore(&self) -> anyhow::Result<()> {
        let mut running = self.running.lock().await;
        if running.is_none() {
            let listener = TcpListener::bind(self.address)
                .await
                .context("the proxy's port is taken")?;
            *running = Some(Running::start(listener, &self.way));
        }
        Ok(())
    }

    /// Holds up each chunk of bytes for so long, in either direction.
    pub fn set_latency(&self, latency: Duration) {
        self.way.latency.send_replace(latency);
    }

    /// Leads new connections to the server of this URL; those that are open stay where they are.
    ///
    /// # Errors
    /// When the URL names no host and port.
    pub fn retarget(&self, url: &str) -> anyhow::Result<()> {
        self.way.target.send_replace(address(url, 0)?);
        Ok(())
    }

    /// From now on the connections that are open pass nothing on, and stay open: as if the other host were gone without a word.
    pub fn swallow(&self) {
        self.way.swallowed.send_modify(|times| {
            times.requests += 1;
            times.answers += 1;
        });
    }

    /// From now on the connections that are open bring no answer back; what is asked still reaches the server, and is done there.
    pub fn swallow_answers(&self) {
        self.way.swallowed.send_modify(|times| times.answers += 1);
    }
}

/// A listener on a port that no client connection will take while the proxy is cut.
async fn listen() -> anyhow::Result<(TcpListener, SocketAddr)> {
    loop {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        if let Ok(listener) = TcpListener::bind(address).await {
            return Ok((listener, address));
        }
    }
}

impl Running {
    fn start(listener: TcpListener, way: &Way) -> Self {
        let token = CancellationToken::new();
        let (cut, target) = (token.clone(), way.target.subscribe());
        let passage = Passage {
            latency: way.latency.subscribe(),
            swallowed: way.swallowed.subscribe(),
            before: Swallowed::default(),
            counted: |times| times.requests,
        };
        let accepting = tokio::spawn(async move {
            // Dropping this future drops the listener and all connections.
            cut.run_until_cancelled(accept(listener, target, passage)).await;
        });
        Self {
            cut: token.drop_guard(),
            accepting,
        }
    }
}

/// What becomes of the bytes of one connection.
#[derive(Clone)]
struct Passage {
    latency: watch::Receiver<Duration>,
    swallowed: watch::Receiver<Swallowed>,
    /// As it was when the connection was made.
    before: Swallowed,
    /// What counts for this direction.
    counted: fn(&Swallowed) -> u32,
}

impl Passage {
    fn is_swallowed(&self) -> bool {
        (self.counted)(&self.swallowed.borrow()) > (self.counted)(&self.before)
    }
}

async fn accept(listener: TcpListener, target: watch::Receiver<String>, passage: Passage) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let passage = Passage {
            before: *passage.swallowed.borrow(),
            ..passage.clone()
        };
        let target = target.borrow().clone();
        connections.spawn(pass(client, target, passage));
        while connections.try_join_next().is_some() {}
    }
}

/// Passes bytes both ways until either side closes; a server that is away closes the client's connection.
async fn pass(client: TcpStream, target: String, passage: Passage) -> std::io::Result<()> {
    let server = TcpStream::connect(target).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    let answers = Passage {
        counted: |times| times.answers,
        ..passage.clone()
    };
    tokio::try_join!(
        one_way(client_reads, server_writes, passage),
        one_way(server_reads, client_writes, answers)
    )?;
    Ok(())
}

async fn one_way(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, passage: Passage) -> std::io::Result<()> {
    let mut chunk = BytesMut::with_capacity(16 * 1024);
    while from.read_buf(&mut chunk).await? > 0 {
        if passage.is_swallowed() {
            chunk.clear();
            continue;
        }
        let latency = *passage.latency.borrow();
        if !latency.is_zero() {
            sleep(latency).await;
        }
        to.write_all_buf(&mut chunk).await?;
    }
    to.shutdown().await
}

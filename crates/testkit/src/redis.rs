//! A Redis server: the run's shared one, or one of a test's own.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::time::{Instant, sleep, timeout};

use crate::server::{Kind, Place, Server};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REPLICATE_TIMEOUT: Duration = Duration::from_secs(60);
const SHARED: &str = "this Redis is shared with other tests: use Redis::start() for one of the test's own";

/// A handle on a Redis server. One of the test's own ends when this is dropped; the shared one lives on, and can neither be stopped nor paused.
#[derive(Debug)]
pub struct Redis {
    url: String,
    /// `None`: somebody else's.
    server: Option<Server>,
}

impl Redis {
    /// Finds the program that [`Redis::start`] runs, or installs it, which may ask the person in front of the terminal.
    ///
    /// # Errors
    /// When there is none and none can be got; the message says what to install.
    pub fn find_program() -> anyhow::Result<()> {
        Server::find_program(Kind::Redis)
    }

    /// Starts a server on a free port; its data survives its own restarts and goes with this value.
    ///
    /// # Errors
    /// When Redis is not installed and cannot be got, or does not start; the message carries its last log lines.
    pub async fn start() -> anyhow::Result<Self> {
        Ok(Self::own(Server::start(Kind::Redis, Place::Temporary).await?))
    }

    /// Starts a server whose data stays in `folder` (at most its last second is lost in a power cut), on `port` (`None`: a free one).
    ///
    /// # Errors
    /// As [`Redis::start`], or when the port is in use.
    pub async fn start_kept(folder: &Path, port: Option<u16>) -> anyhow::Result<Self> {
        let place = Place::Kept {
            folder: folder.to_owned(),
            port,
        };
        Ok(Self::own(Server::start(Kind::Redis, place).await?))
    }

    /// Whether the server of this URL answers.
    ///
    /// # Errors
    /// When it is no Redis URL, or nobody answers; the message holds no password.
    pub async fn reach(url: &str) -> anyhow::Result<()> {
        let Ok(client) = redis::Client::open(url) else {
            bail!("not a Redis URL; it takes redis://host:6379, or rediss:// for TLS");
        };
        let address = client.get_connection_info().addr().clone();
        match timeout(CONNECT_TIMEOUT, client.get_multiplexed_async_connection()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => bail!("cannot reach Redis at {address}: {error}"),
            Err(_) => {
                bail!("cannot reach Redis at {address}: no answer within {CONNECT_TIMEOUT:?}")
            }
        }
    }

    /// A server that somebody else keeps.
    pub(crate) fn shared(url: String) -> Self {
        Self { url, server: None }
    }

    fn own(server: Server) -> Self {
        Self {
            url: format!("redis://127.0.0.1:{}", server.port()),
            server: Some(server),
        }
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection, for a test's own look at the data.
    ///
    /// # Errors
    /// When the server does not answer.
    pub async fn connect(&self) -> anyhow::Result<redis::aio::MultiplexedConnection> {
        let client = redis::Client::open(self.url())?;
        client
            .get_multiplexed_async_connection()
            .await
            .context("cannot connect to Redis")
    }

    /// The process id, while it runs and is ours.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.server.as_ref().and_then(Server::pid)
    }

    /// How the process ended, and its last log lines, if it ended by itself.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn ended(&self) -> anyhow::Result<Option<String>> {
        self.server.as_ref().context(SHARED)?.ended()
    }

    /// Ends it with SIGTERM; the data stays.
    ///
    /// # Errors
    /// When it is the shared server, cannot be signalled, or does not end.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.mine()?.stop().await
    }

    /// Ends it with SIGKILL; what it had acknowledged stays.
    ///
    /// # Errors
    /// When it is the shared server or cannot be signalled.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.mine()?.kill().await
    }

    /// Starts it again, on the same port and data.
    ///
    /// # Errors
    /// When it is the shared server or does not start.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.mine()?.restart().await
    }

    /// Stops it in its tracks (SIGSTOP) for `duration`; its connections stay open.
    ///
    /// # Errors
    /// When it is the shared server or cannot be signalled.
    pub async fn pause(&self, duration: Duration) -> anyhow::Result<()> {
        self.server.as_ref().context(SHARED)?.pause(duration).await
    }

    /// Makes it a replica of another; returns once it has all of its data.
    ///
    /// # Errors
    /// When it does not answer, or does not reach the other one in time.
    pub async fn replicate(&self, primary: &Self) -> anyhow::Result<()> {
        let primary: url::Url = primary.url.parse()?;
        let port = primary.port().context("the primary's URL names no port")?;
        let mut connection = self.connect().await?;
        let replicate = redis::cmd("REPLICAOF").arg("127.0.0.1").arg(port).to_owned();
        replicate.exec_async(&mut connection).await?;
        let end = Instant::now() + REPLICATE_TIMEOUT;
        loop {
            let asked = redis::cmd("INFO").arg("replication").to_owned();
            let info: String = asked.query_async(&mut connection).await?;
            if info.contains("master_link_status:up") {
                return Ok(());
            }
            anyhow::ensure!(
                Instant::now() < end,
                "no replica within {REPLICATE_TIMEOUT:?}:\n{info}"
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Makes it a primary.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn promote(&self) -> anyhow::Result<()> {
        let promote = redis::cmd("REPLICAOF").arg("NO").arg("ONE").to_owned();
        Ok(promote.exec_async(&mut self.connect().await?).await?)
    }

    fn mine(&mut self) -> anyhow::Result<&mut Server> {
        self.server.as_mut().context(SHARED)
    }
}

//! A Redis server: the shared one of a test run, or a private one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use tokio::time::{Instant, sleep, timeout};

use crate::server::{Kind, Place, PrivateServer};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const REPLICATION_TIMEOUT: Duration = Duration::from_secs(60);
const SHARED: &str = "this Redis is shared with other tests: use Redis::start() for a private one";

/// The folder with the parts of the append-only file (Redis 7).
const APPEND_ONLY: &str = "data/appendonlydir";
const BACKUP: &str = "data/backup";

/// A handle on a Redis server. A private one stops when this is dropped; the shared one goes on, and can
/// neither be stopped nor paused.
#[derive(Debug)]
pub struct Redis {
    url: String,
    /// `None`: the shared server.
    server: Option<PrivateServer>,
}

impl Redis {
    /// Finds the program that [`Redis::start`] runs, or installs it, which may prompt at the terminal.
    ///
    /// # Errors
    /// When it is missing and cannot be installed; the message says what to install.
    pub fn find_program() -> anyhow::Result<()> {
        PrivateServer::find_program(Kind::Redis)
    }

    /// Starts a server on a free port; its data survives restarts and is deleted with this value.
    ///
    /// # Errors
    /// When Redis is missing and cannot be installed, or does not start; the message has its last log lines.
    pub async fn start() -> anyhow::Result<Self> {
        Ok(Self::own(
            PrivateServer::start(Kind::Redis, Place::Temporary).await?,
        ))
    }

    /// Starts a server whose data stays in `folder` (a power failure loses at most its last second), on
    /// `port` (`None`: a free one).
    ///
    /// # Errors
    /// As [`Redis::start`], or when the port is in use.
    pub async fn start_persistent(folder: &Path, port: Option<u16>) -> anyhow::Result<Self> {
        let place = Place::Persistent {
            folder: folder.to_owned(),
            port,
        };
        Ok(Self::own(PrivateServer::start(Kind::Redis, place).await?))
    }

    /// Whether the server of this URL is reachable.
    ///
    /// # Errors
    /// When it is no Redis URL, or the server is unreachable; the message has no password.
    pub async fn reach(url: &str) -> anyhow::Result<()> {
        let Ok(client) = redis::Client::open(url) else {
            bail!("not a Redis URL; it takes redis://host:6379, or rediss:// for TLS");
        };
        let address = client.get_connection_info().addr().clone();
        match timeout(CONNECT_TIMEOUT, client.get_multiplexed_async_connection()).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => bail!("cannot reach Redis at {address}: {error}"),
            Err(_) => {
                bail!("cannot reach Redis at {address}: no response within {CONNECT_TIMEOUT:?}")
            }
        }
    }

    /// A server that this handle does not own.
    pub(crate) fn shared(url: String) -> Self {
        Self { url, server: None }
    }

    fn own(server: PrivateServer) -> Self {
        Self {
            url: server.url(),
            server: Some(server),
        }
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection, for a test that reads the data.
    ///
    /// # Errors
    /// When the server is unreachable.
    pub async fn connect(&self) -> anyhow::Result<redis::aio::MultiplexedConnection> {
        let client = redis::Client::open(self.url())?;
        client
            .get_multiplexed_async_connection()
            .await
            .context("cannot connect to Redis")
    }

    /// The process id, while it runs and is private.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.server.as_ref().and_then(PrivateServer::pid)
    }

    /// Its log file, if it is private.
    #[must_use]
    pub fn log(&self) -> Option<PathBuf> {
        self.server.as_ref().map(PrivateServer::log)
    }

    /// Sends a signal, such as SIGSTOP and SIGCONT.
    ///
    /// # Errors
    /// When it is the shared server, does not run or cannot be signalled.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.server.as_ref().context(SHARED)?.signal(signal)
    }

    /// The exit status and last log lines of the process, if it ended by itself.
    ///
    /// # Errors
    /// When its status cannot be read.
    pub fn ended(&self) -> anyhow::Result<Option<String>> {
        self.server.as_ref().context(SHARED)?.ended()
    }

    /// Stops it with SIGTERM; the data stays.
    ///
    /// # Errors
    /// When it is the shared server, cannot be signalled, or does not stop.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.private()?.stop().await
    }

    /// Kills it with SIGKILL; acknowledged writes stay.
    ///
    /// # Errors
    /// When it is the shared server or cannot be signalled.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.private()?.kill().await
    }

    /// Kills it, and removes the last writes from its append-only file, up to this many bytes: as a power
    /// failure does with appendfsync=everysec.
    ///
    /// # Errors
    /// When it is the shared server, cannot be signalled, or its file cannot be changed.
    pub async fn kill_and_lose_last_writes(&mut self, bytes: u64) -> anyhow::Result<()> {
        let server = self.private()?;
        server.kill().await?;
        let data = server.folder().join(APPEND_ONLY);
        for file in std::fs::read_dir(&data).with_context(|| data.display().to_string())? {
            let path = file?.path();
            if path.to_string_lossy().ends_with(".incr.aof") {
                let file = std::fs::OpenOptions::new().write(true).open(path)?;
                file.set_len(file.metadata()?.len().saturating_sub(bytes))?;
            }
        }
        Ok(())
    }

    /// Copies its data, for [`Redis::kill_and_restore`].
    ///
    /// # Errors
    /// When it is the shared server, or its data cannot be copied.
    pub fn back_up(&self) -> anyhow::Result<()> {
        let folder = self.server.as_ref().context(SHARED)?.folder();
        std::fs::create_dir_all(folder.join(BACKUP))?;
        for file in std::fs::read_dir(folder.join(APPEND_ONLY))? {
            let file = file?;
            std::fs::copy(file.path(), folder.join(BACKUP).join(file.file_name()))?;
        }
        Ok(())
    }

    /// Kills it, and replaces its data by that of [`Redis::back_up`].
    ///
    /// # Errors
    /// When it is the shared server, cannot be signalled, or has no backup.
    pub async fn kill_and_restore(&mut self) -> anyhow::Result<()> {
        let server = self.private()?;
        server.kill().await?;
        let (data, backup) = (server.folder().join(APPEND_ONLY), server.folder().join(BACKUP));
        std::fs::remove_dir_all(&data)?;
        Ok(std::fs::rename(backup, data)?)
    }

    /// Starts it again, on the same port and data.
    ///
    /// # Errors
    /// When it is the shared server or does not start.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.private()?.restart().await
    }

    /// Freezes it (SIGSTOP) for `duration`; its connections stay open.
    ///
    /// # Errors
    /// When it is the shared server or cannot be signalled.
    pub async fn pause(&self, duration: Duration) -> anyhow::Result<()> {
        self.server.as_ref().context(SHARED)?.pause(duration).await
    }

    /// Makes it a replica of `primary`; returns once it has all of its data.
    ///
    /// # Errors
    /// When it is unreachable, or does not reach the primary in time.
    pub async fn replicate(&self, primary: &Self) -> anyhow::Result<()> {
        let primary: url::Url = primary.url.parse()?;
        let port = primary.port().context("the primary's URL names no port")?;
        let mut connection = self.connect().await?;
        let replicate = redis::cmd("REPLICAOF").arg("127.0.0.1").arg(port).to_owned();
        replicate.exec_async(&mut connection).await?;
        let end = Instant::now() + REPLICATION_TIMEOUT;
        loop {
            let command = redis::cmd("INFO").arg("replication").to_owned();
            let info: String = command.query_async(&mut connection).await?;
            if info.contains("master_link_status:up") {
                return Ok(());
            }
            anyhow::ensure!(
                Instant::now() < end,
                "no replica within {REPLICATION_TIMEOUT:?}:\n{info}"
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Makes it a primary.
    ///
    /// # Errors
    /// When it is unreachable.
    pub async fn promote(&self) -> anyhow::Result<()> {
        let promote = redis::cmd("REPLICAOF").arg("NO").arg("ONE").to_owned();
        Ok(promote.exec_async(&mut self.connect().await?).await?)
    }

    fn private(&mut self) -> anyhow::Result<&mut PrivateServer> {
        self.server.as_mut().context(SHARED)
    }
}

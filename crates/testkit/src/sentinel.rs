//! A Redis Sentinel of a test's own: it watches a primary, and makes a replica the primary when that is gone.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::ports::free_port;
use crate::supervised::{Supervised, Task, last_lines};
use crate::{Redis, programs};

const PATIENCE: Duration = Duration::from_secs(60);
/// What the watched servers are called together.
const NAME: &str = "orders";

/// A sentinel that decides alone. Ends when dropped.
#[derive(Debug)]
pub struct Sentinel {
    client: redis::Client,
    folder: PathBuf,
    _process: Supervised,
}

impl Sentinel {
    /// Watches this primary and its replicas; returns once it knows of one replica.
    ///
    /// # Errors
    /// When Redis' program is not installed, or no replica is found in time.
    pub async fn watch(primary: &Redis) -> anyhow::Result<Self> {
        let program = programs::redis_server().context("no redis-server is installed")?;
        let folder = crate::folder::temporary(None)?;
        let (port, primary): (u16, url::Url) = (free_port()?, primary.url().parse()?);
        let primary = primary.port().context("the primary's URL names no port")?;
        let settings = folder.join("sentinel.conf");
        // It writes what it learns into its own settings.
        let lines = format!(
            "bind 127.0.0.1\nport {port}\nprotected-mode no\ndir {}\nsentinel monitor {NAME} 127.0.0.1 {primary} 1\n\
             sentinel down-after-milliseconds {NAME} 1000\nsentinel failover-timeout {NAME} 10000\n",
            folder.display()
        );
        fs::write(&settings, lines)?;
        let task = Task {
            name: "Redis Sentinel".to_owned(),
            program,
            arguments: vec![settings.display().to_string(), "--sentinel".to_owned()],
            environment: Vec::new(),
            working_folder: folder.clone(),
            log: folder.join("sentinel.log"),
            user: None,
            end: Signal::TERM,
            delete: Some(folder.clone()),
            container: None,
        };
        let sentinel = Self {
            client: redis::Client::open(format!("redis://127.0.0.1:{port}"))?,
            _process: Supervised::start(&task)?,
            folder,
        };
        let end = Instant::now() + PATIENCE;
        while !sentinel.knows_a_replica().await.unwrap_or(false) {
            if Instant::now() >= end {
                bail!(
                    "no replica was found within {PATIENCE:?}:\n{}",
                    last_lines(&task.log, 10)
                );
            }
            sleep(Duration::from_millis(20)).await;
        }
        Ok(sentinel)
    }

    /// The URL of the server that is the primary now.
    ///
    /// # Errors
    /// When the sentinel does not answer.
    pub async fn primary(&self) -> anyhow::Result<String> {
        let asked = redis::cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(NAME)
            .to_owned();
        let mut connection = self.client.get_multiplexed_async_connection().await?;
        let (host, port): (String, u16) = asked.query_async(&mut connection).await?;
        Ok(format!("redis://{host}:{port}"))
    }

    async fn knows_a_replica(&self) -> anyhow::Result<bool> {
        let asked = redis::cmd("SENTINEL").arg("REPLICAS").arg(NAME).to_owned();
        let mut connection = self.client.get_multiplexed_async_connection().await?;
        let replicas: Vec<redis::Value> = asked.query_async(&mut connection).await?;
        Ok(!replicas.is_empty())
    }
}

impl Drop for Sentinel {
    fn drop(&mut self) {
        // The supervisor deletes it where this fails.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

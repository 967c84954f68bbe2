//! A private Redis Sentinel: it monitors a primary, and promotes a replica when the primary is unreachable.

use std::fs;

use anyhow::Context;

use crate::ports::free_port;
use crate::supervised::Task;
use crate::temporary_program::TemporaryProgram;
use crate::{Redis, programs};

/// The name of the monitored primary and its replicas.
const GROUP_NAME: &str = "orders";

/// A sentinel with a quorum of one. It stops when dropped.
#[derive(Debug)]
pub struct Sentinel {
    client: redis::Client,
    _program: TemporaryProgram,
}

impl Sentinel {
    /// Monitors this primary and its replicas; returns once it knows of one replica.
    ///
    /// # Errors
    /// When Redis' program is not installed, or no replica is found in time.
    pub async fn monitor(primary: &Redis) -> anyhow::Result<Self> {
        let program = programs::redis_server().context("no redis-server is installed")?;
        let folder = crate::folder::temporary(None)?;
        let (port, primary): (u16, url::Url) = (free_port()?, primary.url().parse()?);
        let primary = primary.port().context("the primary's URL names no port")?;
        let settings = folder.join("sentinel.conf");
        // The sentinel writes what it discovers into this file.
        let lines = format!(
            "bind 127.0.0.1\nport {port}\nprotected-mode no\ndir {}\nsentinel monitor {GROUP_NAME} 127.0.0.1 {primary} 1\n\
             sentinel down-after-milliseconds {GROUP_NAME} 1000\nsentinel failover-timeout {GROUP_NAME} 10000\n",
            folder.display()
        );
        fs::write(&settings, lines)?;
        let task = Task {
            arguments: vec![settings.display().to_string(), "--sentinel".to_owned()],
            ..Task::new("Redis Sentinel", program, &folder, "sentinel.log")
        };
        let client = redis::Client::open(format!("redis://127.0.0.1:{port}"))?;
        let is_ready = || async { knows_a_replica(&client).await.unwrap_or(false) };
        let program = TemporaryProgram::start(task, is_ready).await?;
        Ok(Self {
            client,
            _program: program,
        })
    }

    /// The URL of the current primary.
    ///
    /// # Errors
    /// When the sentinel is unreachable.
    pub async fn primary(&self) -> anyhow::Result<String> {
        let command = redis::cmd("SENTINEL")
            .arg("GET-MASTER-ADDR-BY-NAME")
            .arg(GROUP_NAME)
            .to_owned();
        let mut connection = self.client.get_multiplexed_async_connection().await?;
        let (host, port): (String, u16) = command.query_async(&mut connection).await?;
        Ok(format!("redis://{host}:{port}"))
    }
}

async fn knows_a_replica(sentinel: &redis::Client) -> anyhow::Result<bool> {
    let command = redis::cmd("SENTINEL").arg("REPLICAS").arg(GROUP_NAME).to_owned();
    let mut connection = sentinel.get_multiplexed_async_connection().await?;
    let replicas: Vec<redis::Value> = command.query_async(&mut connection).await?;
    Ok(!replicas.is_empty())
}

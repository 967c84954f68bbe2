//! The running local stack: the services, and PostgreSQL and Redis unless the environment names existing
//! ones.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use testkit::{Binaries, Ports, Postgres, Redis, Service, Stack, is_free};

use crate::recorded_process::RecordedProcess;
use crate::state::{State, local_folder};

const DATABASE: &str = "throughline";
const POSTGRES_PORT: u16 = 5432;
const REDIS_PORT: u16 = 6379;

/// The existing servers that the environment names.
pub(crate) struct ExistingServers {
    database_url: Option<String>,
    redis_url: Option<String>,
}

impl ExistingServers {
    pub(crate) fn from_env() -> Self {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            database_url: set("DATABASE_URL"),
            redis_url: set("REDIS_URL"),
        }
    }

    /// Checks that these servers are reachable, and that the programs of the others are installed.
    pub(crate) async fn check(&self) -> anyhow::Result<()> {
        match &self.database_url {
            Some(url) => Postgres::reach(url).await.context("DATABASE_URL")?,
            None => Postgres::find_program()?,
        }
        match &self.redis_url {
            Some(url) => Redis::reach(url).await.context("REDIS_URL")?,
            None => Redis::find_program()?,
        }
        Ok(())
    }
}

/// Everything that `up` started. Dropping it stops it.
pub(crate) struct LocalStack {
    // Dropped in this order.
    stack: Stack,
    redis: Option<Redis>,
    postgres: Option<Postgres>,
    database_url: String,
    redis_url: String,
}

impl LocalStack {
    /// Listens on the documented ports, or on free ones if `ports` is `None`.
    pub(crate) async fn start(
        existing: ExistingServers,
        binaries: Binaries,
        ports: Option<Ports>,
    ) -> anyhow::Result<Self> {
        let folder = local_folder();
        let usual = |port: u16| (ports.is_some() && is_free(port)).then_some(port);
        let (postgres, database_url) = postgres(
            existing.database_url,
            &folder.join("postgres"),
            usual(POSTGRES_PORT),
        )
        .await?;
        let (redis, redis_url) = redis(existing.redis_url, &folder.join("redis"), usual(REDIS_PORT)).await?;
        let mut builder = Stack::builder(&database_url, &redis_url).binaries(binaries);
        if let Some(ports) = ports {
            builder = builder.ports(ports);
        }
        let stack = builder.logs(&folder.join("logs")).start().await?;
        Ok(Self {
            stack,
            redis,
            postgres,
            database_url,
            redis_url,
        })
    }

    /// The state for other commands.
    pub(crate) fn state(&self) -> anyhow::Result<State> {
        let supervisor = i32::try_from(std::process::id())?;
        let servers = [
            ("PostgreSQL", self.postgres.as_ref().and_then(Postgres::pid)),
            ("Redis", self.redis.as_ref().and_then(Redis::pid)),
        ];
        let services = self.stack.pids().map(|(service, pid)| (service.binary(), pid));
        let processes = services
            .chain(servers)
            .filter_map(|(name, pid)| RecordedProcess::running(name, pid?))
            .collect();
        let ports = self.stack.ports();
        Ok(State {
            supervisor: RecordedProcess::running("xtask up", supervisor)
                .context("this process has no start time")?,
            processes,
            api: self.stack.url(Service::Api),
            worker: self.stack.url(Service::Worker),
            gateway: self.stack.url(Service::Gateway),
            lens: self.stack.url(Service::Lens),
            otlp_grpc: format!("http://127.0.0.1:{}", ports.otlp_grpc),
            otlp_http: ports.otlp_http_url(),
            database_url: self.database_url.clone(),
            redis_url: self.redis_url.clone(),
            logs: self.stack.logs().to_owned(),
        })
    }

    /// Waits until a part of it ends by itself; returns its name, exit status and last log lines.
    pub(crate) async fn part_ended(&self) -> anyhow::Result<String> {
        loop {
            if let Some(how) = self.stack.ended()? {
                return Ok(how);
            }
            if let Some(how) = self.postgres.as_ref().map(Postgres::ended).transpose()?.flatten() {
                return Ok(format!("PostgreSQL ended ({how})"));
            }
            if let Some(how) = self.redis.as_ref().map(Redis::ended).transpose()?.flatten() {
                return Ok(format!("Redis ended ({how})"));
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Stops all of it in order, and waits until it has ended.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        self.stack.end().await?;
        if let Some(redis) = &mut self.redis {
            redis.stop().await?;
        }
        if let Some(postgres) = &mut self.postgres {
            postgres.stop().await?;
        }
        Ok(())
    }
}

async fn postgres(
    existing: Option<String>,
    folder: &Path,
    port: Option<u16>,
) -> anyhow::Result<(Option<Postgres>, String)> {
    if let Some(url) = existing {
        return Ok((None, url));
    }
    let postgres = Postgres::start_persistent(folder, port).await?;
    let url = postgres.ensure_database(DATABASE).await?;
    if postgres.folder() != folder {
        eprintln!(
            "PostgreSQL's data is in {}: the user that it runs as cannot reach {}",
            postgres.folder().display(),
            folder.display()
        );
    }
    Ok((Some(postgres), url))
}

async fn redis(
    existing: Option<String>,
    folder: &Path,
    port: Option<u16>,
) -> anyhow::Result<(Option<Redis>, String)> {
    if let Some(url) = existing {
        return Ok((None, url));
    }
    let redis = Redis::start_persistent(folder, port).await?;
    let url = redis.url().to_owned();
    Ok((Some(redis), url))
}

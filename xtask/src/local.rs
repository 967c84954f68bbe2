//! The running local stack: the services, and PostgreSQL and Redis unless the environment names existing
//! ones.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use control::{Door, Options, Room, Servers, System};
use testkit::{Binaries, Ports, Postgres, Redis, Service, Stack, is_free};

use crate::recorded_process::RecordedProcess;
use crate::state::{State, local_folder};
use crate::token;

const DATABASE: &str = "throughline";
const POSTGRES_PORT: u16 = 5432;
const REDIS_PORT: u16 = 6379;
const CONTROL_PORT: u16 = 8110;

/// The orders of a killed worker wait for the end of their lease: shorter here than in production, because a
/// person waits for it. It has to outlast a request to the gateway. The environment overrides both.
const WORKER_SETTINGS: [(&str, &str); 2] = [("ORDER_LEASE", "10s"), ("PAYMENT_TIMEOUT", "5s")];
const LEASE: Duration = Duration::from_secs(10);

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

/// Everything that `up` started, and the control room that shows it.
pub(crate) struct LocalStack {
    // Dropped in this order.
    room: Room,
    system: Arc<System>,
    /// As other commands find it.
    state: State,
}

impl LocalStack {
    /// Listens on the documented ports, or on free ones if `ports` is `None`.
    pub(crate) async fn start(
        existing: ExistingServers,
        binaries: Binaries,
        ports: Option<Ports>,
    ) -> anyhow::Result<Self> {
        let folder = local_folder();
        let door = Door::open(ports.is_some().then_some(CONTROL_PORT))?;
        let usual = |port: u16| (ports.is_some() && is_free(port)).then_some(port);
        let (postgres, database_url) = postgres(
            existing.database_url,
            &folder.join("postgres"),
            usual(POSTGRES_PORT),
        )
        .await?;
        let (redis, redis_url) = redis(existing.redis_url, &folder.join("redis"), usual(REDIS_PORT)).await?;
        let mut builder = Stack::builder(&database_url, &redis_url).binaries(binaries);
        for (name, value) in WORKER_SETTINGS {
            if std::env::var_os(name).is_none() {
                builder = builder.env(Service::Worker, name, value);
            }
        }
        let logs = folder.join("logs");
        let second = builder
            .clone()
            .only(&[Service::Worker])
            .logs(&logs.join("worker-2"));
        if let Some(ports) = ports {
            builder = builder.ports(ports);
        }
        let builder = builder.env(Service::Lens, "LENS_SYSTEM_URL", &door.url());
        let stack = builder.logs(&logs).start().await?;
        // The database was just migrated.
        let second = second.beside(&stack).start_without_migration().await?;
        let mut state = state(&stack, &door.entrance(), &database_url, &redis_url)?;
        let servers = Servers {
            postgres,
            redis,
            database_url,
            redis_url,
        };
        let system = Arc::new(System::new(vec![stack, second], servers)?);
        let running = system.pids().into_iter();
        state.processes = running
            .filter_map(|(name, pid)| RecordedProcess::running(&name, pid))
            .collect();
        let options = Options {
            token: Arc::new(|| token::local(&token::secret_if_set().ok()??).ok()),
            lease: LEASE,
        };
        let room = Room::start(door, system.clone(), options)?;
        Ok(Self { room, system, state })
    }

    /// The state for other commands.
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// Waits until a part of it ends by itself; returns its name, exit status and last log lines.
    pub(crate) async fn part_ended(&self) -> anyhow::Result<String> {
        self.system.part_ended().await
    }

    /// Stops all of it in order, and waits until it has ended.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.room.close().await;
        self.system.stop().await
    }
}

fn state(stack: &Stack, system: &str, database_url: &str, redis_url: &str) -> anyhow::Result<State> {
    let supervisor = i32::try_from(std::process::id())?;
    let ports = stack.ports();
    Ok(State {
        supervisor: RecordedProcess::running("xtask up", supervisor)
            .context("this process has no start time")?,
        processes: Vec::new(),
        system: system.to_owned(),
        api: stack.url(Service::Api),
        worker: stack.url(Service::Worker),
        gateway: stack.url(Service::Gateway),
        lens: stack.url(Service::Lens),
        otlp_grpc: format!("http://127.0.0.1:{}", ports.otlp_grpc),
        otlp_http: ports.otlp_http_url(),
        database_url: database_url.to_owned(),
        redis_url: redis_url.to_owned(),
        logs: stack.logs().to_owned(),
    })
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

//! What differs between PostgreSQL and Redis: names, arguments, and the check that a server is ready.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tokio::time::timeout;

use crate::client;

/// The variable with a superuser's URL of the cluster in which tests create their databases.
pub const DATABASE_URL: &str = "THROUGHLINE_TEST_DATABASE_URL";
/// The variable with the URL of the Redis that tests share; each test has its own queue names.
pub const REDIS_URL: &str = "THROUGHLINE_TEST_REDIS_URL";

/// How long one check that a server is ready may take.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Postgres,
    Redis,
}

/// Where a server stores its data, and where it listens.
#[derive(Debug)]
pub(crate) enum Place {
    /// A new folder that is deleted with the server; a free port.
    Temporary,
    /// The same, but it survives a power failure.
    TemporaryDurable,
    /// As `Temporary`, as a replica of the PostgreSQL on this port.
    ReplicaOf(u16),
    /// As `Temporary`, with a base backup of the PostgreSQL on this port.
    BackupOf(u16),
    /// A folder that stays; the given port (`None`: a free one).
    Persistent { folder: PathBuf, port: Option<u16> },
}

/// What a server runs on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Host {
    Machine,
    /// It listens on all interfaces of the container; only a published port leads to it.
    Container,
}

/// The failure that the data survives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Durability {
    /// The server's process is killed. No fsync, which makes tests faster.
    Process,
    /// The machine loses power.
    Power,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Postgres => "PostgreSQL",
            Self::Redis => "Redis",
        })
    }
}

impl Host {
    fn listen(self) -> &'static str {
        match self {
            Self::Machine => "127.0.0.1",
            Self::Container => "*",
        }
    }
}

impl Kind {
    /// The signal for an orderly shutdown that waits for no client.
    pub(crate) fn shutdown_signal(self) -> Signal {
        match self {
            Self::Postgres => Signal::INT,
            Self::Redis => Signal::TERM,
        }
    }

    /// The server's command line.
    pub(crate) fn arguments(self, durability: Durability, data: &Path, host: Host, port: u16) -> Vec<String> {
        match self {
            Self::Postgres => postgres_arguments(durability, data, host, port),
            Self::Redis => redis_arguments(durability, data, host, port),
        }
    }

    /// Whether the server of this URL accepts commands.
    pub(crate) async fn is_ready(self, url: &str) -> bool {
        let check = async {
            match self {
                Self::Postgres => client::connect(url).await.is_ok(),
                Self::Redis => ping(url).await.is_ok(),
            }
        };
        timeout(READY_TIMEOUT, check).await.unwrap_or(false)
    }
}

fn postgres_arguments(durability: Durability, data: &Path, host: Host, port: u16) -> Vec<String> {
    let mut settings = vec![
        format!("listen_addresses={}", host.listen()),
        format!("port={port}"),
        // For a fleet of 64 workers.
        "max_connections=1000".to_owned(),
    ];
    if host == Host::Machine {
        // The image initializes the server through its socket; outside it could collide with other servers'
        // sockets.
        settings.push("unix_socket_directories=".to_owned());
    }
    if durability == Durability::Process {
        // `synchronous_commit=off` would lose the last commits of a killed server.
        settings.extend(["fsync=off", "full_page_writes=off"].map(str::to_owned));
    }
    let data = ["-D".to_owned(), data.display().to_string()];
    data.into_iter()
        .chain(
            settings
                .into_iter()
                .flat_map(|setting| ["-c".to_owned(), setting]),
        )
        .collect()
}

fn redis_arguments(durability: Durability, data: &Path, host: Host, port: u16) -> Vec<String> {
    let fsync = match durability {
        Durability::Process => "no",
        Durability::Power => "everysec",
    };
    let options = [
        ("--bind", host.listen().to_owned()),
        ("--port", port.to_string()),
        // The listening address decides who may connect.
        ("--protected-mode", "no".to_owned()),
        ("--dir", data.display().to_string()),
        ("--appendonly", "yes".to_owned()),
        ("--appendfsync", fsync.to_owned()),
        ("--save", String::new()),
        ("--maxmemory-policy", "noeviction".to_owned()),
    ];
    options
        .into_iter()
        .flat_map(|(option, value)| [option.to_owned(), value])
        .collect()
}

/// Fails while Redis reads its data.
async fn ping(url: &str) -> redis::RedisResult<()> {
    let client = redis::Client::open(url)?;
    let mut connection = client.get_multiplexed_async_connection().await?;
    redis::cmd("PING").exec_async(&mut connection).await
}

//! What differs between PostgreSQL and Redis: names, arguments, and how to tell that one answers.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    Postgres,
    Redis,
}

/// Where a server keeps its data, and where it listens.
#[derive(Debug)]
pub(crate) enum Place {
    /// A folder of its own that goes with it, on a free port.
    Temporary,
    /// The same, with the data of the PostgreSQL on this port, which it follows.
    ReplicaOf(u16),
    /// A folder that stays, on the given port (a free one if `None`).
    Kept { folder: PathBuf, port: Option<u16> },
}

/// What a server runs in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Host {
    Machine,
    /// Every interface is the container's own; only a published port leads to it.
    Container,
}

/// What the data survives.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Durability {
    /// The server's process being killed, at the speed that tests want.
    Process,
    /// The machine losing its power.
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
    /// The signal for an orderly end that waits for no client.
    pub(crate) fn orderly_end(self) -> Signal {
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

    /// Whether the server on this port of 127.0.0.1 takes commands.
    pub(crate) async fn answers(self, port: u16) -> bool {
        let asked = async {
            match self {
                Self::Postgres => crate::postgres::connect(&crate::postgres::url(port))
                    .await
                    .is_ok(),
                Self::Redis => ping(port).await.is_ok_and(|answer| answer == *b"+PONG"),
            }
        };
        timeout(Duration::from_secs(2), asked).await.unwrap_or(false)
    }
}

fn postgres_arguments(durability: Durability, data: &Path, host: Host, port: u16) -> Vec<String> {
    let mut settings = vec![
        format!("listen_addresses={}", host.listen()),
        format!("port={port}"),
        "max_connections=300".to_owned(),
    ];
    if host == Host::Machine {
        // The image sets itself up through its socket; ours would be among those of other servers.
        settings.push("unix_socket_directories=".to_owned());
    }
    if durability == Durability::Process {
        // Not `synchronous_commit=off` as well: with it, a killed server loses its last commits.
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
        // Who may connect is decided by the address that it listens on.
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

/// Redis' answer to PING; "-LOAD" (ING) while it reads its data.
async fn ping(port: u16) -> std::io::Result<[u8; 5]> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
    stream.write_all(b"PING\r\n").await?;
    let mut answer = [0; 5];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

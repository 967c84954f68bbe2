//! A PostgreSQL cluster, and databases that each belong to one test.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};
use tokio_postgres::config::Host;
use tokio_postgres::{Client, NoTls};
use uuid::Uuid;

use crate::server::{Kind, Place, Server};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(60);

/// A private PostgreSQL cluster, for tests that stop or kill it and for the local stack. Ends when dropped.
#[derive(Debug)]
pub struct Postgres {
    server: Server,
}

impl Postgres {
    /// Finds the program that [`Postgres::start`] runs, or installs it, which may ask the person in front of the terminal.
    ///
    /// # Errors
    /// When there is none and none can be got; the message says what to install.
    pub fn find_program() -> anyhow::Result<()> {
        Server::find_program(Kind::Postgres)
    }

    /// Starts a cluster on a free port; its data goes with it.
    ///
    /// # Errors
    /// When PostgreSQL is not installed and cannot be got, or does not start; the message carries its last log lines.
    pub async fn start() -> anyhow::Result<Self> {
        Ok(Self {
            server: Server::start(Kind::Postgres, Place::Temporary).await?,
        })
    }

    /// Starts a cluster whose data stays in `folder` and survives a power cut, on `port` (`None`: a free one).
    ///
    /// # Errors
    /// As [`Postgres::start`], or when the port is in use.
    pub async fn start_kept(folder: &Path, port: Option<u16>) -> anyhow::Result<Self> {
        let place = Place::Kept {
            folder: folder.to_owned(),
            port,
        };
        Ok(Self {
            server: Server::start(Kind::Postgres, place).await?,
        })
    }

    /// Starts a replica that follows this cluster and confirms each of its commits: none that a client was told of is lost with it.
    ///
    /// # Errors
    /// As [`Postgres::start`], or when it does not come to follow.
    pub async fn start_replica(&self) -> anyhow::Result<Self> {
        let place = Place::ReplicaOf(self.server.port());
        let replica = Self {
            server: Server::start(Kind::Postgres, place).await?,
        };
        let primary = connect(&self.url()).await?;
        // By itself it is not among the settings that the replica was made with.
        const CONFIRM: &str = "ALTER SYSTEM SET synchronous_standby_names = '*'";
        primary.batch_execute(CONFIRM).await?;
        primary.batch_execute("SELECT pg_reload_conf()").await?;
        let end = Instant::now() + FOLLOW_TIMEOUT;
        const FOLLOWED: &str = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
        while primary.query_opt(FOLLOWED, &[]).await?.is_none() {
            anyhow::ensure!(Instant::now() < end, "no replica within {FOLLOW_TIMEOUT:?}");
            sleep(Duration::from_millis(10)).await;
        }
        Ok(replica)
    }

    /// Makes a replica the primary; returns once it takes writes.
    ///
    /// # Errors
    /// When it does not answer, or is none.
    pub async fn promote(&self) -> anyhow::Result<()> {
        let client = connect(&self.url()).await?;
        client.batch_execute("SELECT pg_promote()").await?;
        Ok(())
    }

    /// Whether the servers of this URL can be reached: one that takes connections is enough.
    ///
    /// # Errors
    /// When it is no PostgreSQL URL, or none can be reached; the message holds no password.
    pub async fn reach(url: &str) -> anyhow::Result<()> {
        let Ok(config) = without_tls(url).parse::<tokio_postgres::Config>() else {
            bail!("not a PostgreSQL URL; it takes postgres://user:password@host:5432/database");
        };
        let mut failure = anyhow!("the URL names no host");
        for (index, host) in config.get_hosts().iter().enumerate() {
            let Host::Tcp(host) = host else {
                return Ok(());
            };
            let ports = config.get_ports();
            let port = ports.get(index).or(ports.first()).copied().unwrap_or(5432);
            let connecting = TcpStream::connect((host.as_str(), port));
            let why = match timeout(CONNECT_TIMEOUT, connecting).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no answer within {CONNECT_TIMEOUT:?}"),
            };
            failure = anyhow!("cannot reach PostgreSQL at {host}:{port}: {why}");
        }
        Err(failure)
    }

    /// Deletes the data of [`Postgres::start_kept`], wherever it had to go; a cluster must not be running on it.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub fn delete_kept(folder: &Path) -> anyhow::Result<()> {
        for folder in [folder.to_owned(), crate::folder::open_to_all(folder)] {
            if folder.exists() {
                std::fs::remove_dir_all(&folder)
                    .with_context(|| format!("cannot delete {}", folder.display()))?;
            }
        }
        Ok(())
    }

    /// The superuser's URL, of the database `postgres`.
    #[must_use]
    pub fn url(&self) -> String {
        url(self.server.port())
    }

    /// A new, empty database.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub async fn database(&self) -> anyhow::Result<Database> {
        Database::create(&self.url()).await
    }

    /// Makes the database `name` unless it is there; gives its URL.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub async fn ensure_database(&self, name: &str) -> anyhow::Result<String> {
        let client = connect(&self.url()).await?;
        let there = client
            .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name])
            .await?;
        if there.is_none() {
            client
                .batch_execute(&format!("CREATE DATABASE \"{name}\""))
                .await?;
        }
        with_database(&self.url(), name)
    }

    /// Where it keeps its data and log; not always the folder that was asked for, when another user runs it.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.server.folder()
    }

    /// The process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.server.pid()
    }

    /// How the process ended, and its last log lines, if it ended by itself.
    ///
    /// # Errors
    /// When the system cannot tell.
    pub fn ended(&self) -> anyhow::Result<Option<String>> {
        self.server.ended()
    }

    /// Ends it with a "fast" shutdown, which waits for no client; the data stays.
    ///
    /// # Errors
    /// When it cannot be signalled or does not end.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.server.stop().await
    }

    /// Ends it with SIGKILL; committed data stays.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.server.kill().await
    }

    /// Ends it with an "immediate" shutdown: every backend at once, and a recovery at the next start.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn crash(&mut self) -> anyhow::Result<()> {
        self.server.end(Signal::QUIT).await
    }

    /// Starts it again, on the same port and data.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.server.restart().await
    }
}

/// A database of one test's own. Dropped with this value, as far as that succeeds.
#[derive(Debug)]
pub struct Database {
    cluster: String,
    name: String,
    url: String,
}

impl Database {
    /// Makes a new, empty database in the cluster at this URL.
    pub(crate) async fn create(cluster: &str) -> anyhow::Result<Self> {
        let name = format!("test_{}", Uuid::now_v7().simple());
        let client = connect(cluster).await?;
        // From template0, which nobody can be connected to: a connection to the template would make this fail.
        client
            .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))
            .await?;
        Ok(Self {
            cluster: cluster.to_owned(),
            url: with_database(cluster, &name)?,
            name,
        })
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection to it, for a test's own look at the data.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        connect(&self.url).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (cluster, name) = (self.cluster.clone(), self.name.clone());
        // Drop is not async, and the test's runtime may be ending: another thread has a runtime of its own.
        let dropping = std::thread::spawn(move || -> anyhow::Result<()> {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let client = connect(&cluster).await?;
                Ok(client
                    .batch_execute(&format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)"))
                    .await?)
            })
        });
        // The whole cluster goes soon; a test that stopped it must not fail for it.
        let _ = dropping.join();
    }
}

/// The URL without what it says of TLS: the services know more words for that than tokio-postgres does, and to see whether a server
/// takes connections none is needed.
fn without_tls(url: &str) -> String {
    let Some((base, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let tls = |pair: &&str| {
        let (name, _) = pair.split_once('=').unwrap_or((pair, ""));
        matches!(name, "sslmode" | "sslrootcert")
    };
    let others: Vec<&str> = query.split('&').filter(|pair| !tls(pair)).collect();
    match others.is_empty() {
        true => base.to_owned(),
        false => format!("{base}?{}", others.join("&")),
    }
}

/// The superuser's URL of the cluster on this port.
pub(crate) fn url(port: u16) -> String {
    format!("postgres://postgres@127.0.0.1:{port}/postgres")
}

/// Connects without TLS, within a few seconds.
pub(crate) async fn connect(url: &str) -> anyhow::Result<Client> {
    let mut config: tokio_postgres::Config = url.parse().context("not a PostgreSQL URL")?;
    config.connect_timeout(CONNECT_TIMEOUT);
    let (client, connection) = config
        .connect(NoTls)
        .await
        .context("cannot connect to PostgreSQL")?;
    // Ends when the client is dropped.
    tokio::spawn(connection);
    Ok(client)
}

/// The same server, another database.
fn with_database(url: &str, name: &str) -> anyhow::Result<String> {
    let mut url = url::Url::parse(url).context("not a PostgreSQL URL")?;
    if url.cannot_be_a_base() {
        bail!("not a PostgreSQL URL: {url}");
    }
    url.set_path(name);
    Ok(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_url_with_any_of_the_services_words_for_tls_can_be_reached() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = format!("postgres://me@{}/orders", listener.local_addr().unwrap());
        for query in [
            "",
            "?sslmode=require",
            "?sslmode=verify-full",
            "?connect_timeout=3&sslmode=verify-ca&sslrootcert=/etc/ca.pem",
        ] {
            let reached = Postgres::reach(&format!("{server}{query}")).await;
            assert!(reached.is_ok(), "{query}: {reached:?}");
        }
        let colour = Postgres::reach(&format!("{server}?colour=red")).await;
        assert!(colour.is_err());
    }
}

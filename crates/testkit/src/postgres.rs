//! A PostgreSQL cluster, and databases that each belong to one test.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_postgres::Client;
use tokio_postgres::config::Host;
use uuid::Uuid;

use crate::client::{CONNECT_TIMEOUT, connect, wait_for_row};
use crate::proxy::Proxy;
use crate::server::{Kind, Place, PrivateServer};

const REPLICATION_TIMEOUT: Duration = Duration::from_secs(60);
/// Makes a server read its settings again.
const RELOAD: &str = "SELECT pg_reload_conf()";

/// A private PostgreSQL cluster, for tests that stop or kill it and for the local stack. It stops when
/// dropped.
#[derive(Debug)]
pub struct Postgres {
    server: PrivateServer,
}

impl Postgres {
    /// Finds the program that [`Postgres::start`] runs, or installs it, which may prompt at the terminal.
    ///
    /// # Errors
    /// When it is missing and cannot be installed; the message says what to install.
    pub fn find_program() -> anyhow::Result<()> {
        PrivateServer::find_program(Kind::Postgres)
    }

    /// Starts a cluster on a free port; its data is deleted with it.
    ///
    /// # Errors
    /// When PostgreSQL is missing and cannot be installed, or does not start; the message has its last log
    /// lines.
    pub async fn start() -> anyhow::Result<Self> {
        Ok(Self {
            server: PrivateServer::start(Kind::Postgres, Place::Temporary).await?,
        })
    }

    /// As [`Postgres::start`], with fsync: it writes as it does in production.
    ///
    /// # Errors
    /// As [`Postgres::start`].
    pub async fn start_durable() -> anyhow::Result<Self> {
        Ok(Self {
            server: PrivateServer::start(Kind::Postgres, Place::TemporaryDurable).await?,
        })
    }

    /// Starts a cluster whose data stays in `folder` and survives a power failure, on `port` (`None`: a free
    /// one).
    ///
    /// # Errors
    /// As [`Postgres::start`], or when the port is in use.
    pub async fn start_persistent(folder: &Path, port: Option<u16>) -> anyhow::Result<Self> {
        let place = Place::Persistent {
            folder: folder.to_owned(),
            port,
        };
        Ok(Self {
            server: PrivateServer::start(Kind::Postgres, place).await?,
        })
    }

    /// Starts a synchronous replica: no commit that this cluster has acknowledged is lost with it.
    ///
    /// # Errors
    /// As [`Postgres::start`], or when it does not replicate in time.
    pub async fn start_replica(&self) -> anyhow::Result<Self> {
        let replica = self.start_asynchronous_replica().await?;
        // Set only now: the replica must not inherit it.
        const SYNCHRONOUS: &str = "ALTER SYSTEM SET synchronous_standby_names = '*'";
        let primary = connect(&self.url()).await?;
        primary.batch_execute(SYNCHRONOUS).await?;
        primary.batch_execute(RELOAD).await?;
        self.wait_for_replica("sync").await?;
        Ok(replica)
    }

    /// Starts a replica that confirms no commit: what it has not received is lost with this cluster.
    ///
    /// # Errors
    /// As [`Postgres::start_replica`].
    pub async fn start_asynchronous_replica(&self) -> anyhow::Result<Self> {
        let place = Place::ReplicaOf(self.server.port());
        let replica = Self {
            server: PrivateServer::start(Kind::Postgres, place).await?,
        };
        self.wait_for_replica("async").await?;
        Ok(replica)
    }

    async fn wait_for_replica(&self, state: &str) -> anyhow::Result<()> {
        const REPLICATES: &str = "SELECT 1 FROM pg_stat_replication WHERE sync_state = $1";
        let primary = connect(&self.url()).await?;
        wait_for_row(&primary, REPLICATES, &[&state], REPLICATION_TIMEOUT).await
    }

    /// Makes a replica receive nothing any more; returns once its connection to the primary has ended.
    ///
    /// # Errors
    /// When it is unreachable, or does not stop in time.
    pub async fn stop_replication(&self) -> anyhow::Result<()> {
        let replica = connect(&self.url()).await?;
        replica
            .batch_execute("ALTER SYSTEM SET primary_conninfo = ''")
            .await?;
        replica.batch_execute(RELOAD).await?;
        const STOPPED: &str = "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM pg_stat_wal_receiver)";
        wait_for_row(&replica, STOPPED, &[], REPLICATION_TIMEOUT).await
    }

    /// Makes a replica the primary; returns once it accepts writes.
    ///
    /// # Errors
    /// When it is unreachable, or not a replica.
    pub async fn promote(&self) -> anyhow::Result<()> {
        let client = connect(&self.url()).await?;
        client.batch_execute("SELECT pg_promote()").await?;
        Ok(())
    }

    pub(crate) fn of_server(server: PrivateServer) -> Self {
        Self { server }
    }

    /// The port on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.server.port()
    }

    /// Whether a server of this URL can be reached: one that accepts connections is enough.
    ///
    /// # Errors
    /// When it is no PostgreSQL URL, or no server is reachable; the message has no password.
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
            let reason = match timeout(CONNECT_TIMEOUT, connecting).await {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(error)) => error.to_string(),
                Err(_) => format!("no response within {CONNECT_TIMEOUT:?}"),
            };
            failure = anyhow!("cannot reach PostgreSQL at {host}:{port}: {reason}");
        }
        Err(failure)
    }

    /// Deletes the data of [`Postgres::start_persistent`], also where it is not in `folder` itself. No
    /// cluster may be running on it.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub fn delete_persistent(folder: &Path) -> anyhow::Result<()> {
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
        self.server.url()
    }

    /// A new, empty database.
    ///
    /// # Errors
    /// When the cluster is unreachable.
    pub async fn database(&self) -> anyhow::Result<Database> {
        Database::create(&self.url()).await
    }

    /// Creates the database `name` unless it exists; returns its URL. In a cluster with passwords it belongs
    /// to a role of the same name, which the URL names; the superuser's URL otherwise.
    ///
    /// # Errors
    /// When the cluster is unreachable.
    pub async fn ensure_database(&self, name: &str) -> anyhow::Result<String> {
        let client = connect(&self.url()).await?;
        let existing = client
            .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name])
            .await?;
        let Some(password) = self.server.programs_password() else {
            if existing.is_none() {
                let create = format!("CREATE DATABASE \"{name}\"");
                client.batch_execute(&create).await?;
            }
            return with_database(&self.url(), name);
        };
        if existing.is_none() {
            let role = format!("CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}'");
            client.batch_execute(&role).await?;
            let create = format!("CREATE DATABASE \"{name}\" OWNER \"{name}\"");
            client.batch_execute(&create).await?;
        }
        Ok(format!(
            "postgres://{name}:{password}@127.0.0.1:{}/{name}",
            self.server.port()
        ))
    }

    /// The folder of its data and log. It differs from the requested one if the server's user cannot reach
    /// that.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.server.folder()
    }

    /// The process id, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.server.pid()
    }

    /// The exit status and last log lines of the process, if it ended by itself.
    ///
    /// # Errors
    /// When its status cannot be read.
    pub fn ended(&self) -> anyhow::Result<Option<String>> {
        self.server.ended()
    }

    /// Its log file.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.server.log()
    }

    /// Sends a signal: SIGSTOP and SIGCONT reach all of its processes.
    ///
    /// # Errors
    /// When it does not run or cannot be signalled.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        self.server.signal(signal)
    }

    /// Stops it with a "fast" shutdown, which waits for no client; the data stays.
    ///
    /// # Errors
    /// When it cannot be signalled or does not stop.
    pub async fn stop(&mut self) -> anyhow::Result<()> {
        self.server.stop().await
    }

    /// Kills it with SIGKILL; committed data stays.
    ///
    /// # Errors
    /// When it cannot be signalled.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        self.server.kill().await
    }

    /// Stops it with an "immediate" shutdown: all backends end at once, and the next start begins with a
    /// recovery.
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

/// A private database of one test. Dropping this value drops the database, if the server still runs.
#[derive(Debug)]
pub struct Database {
    cluster: String,
    name: String,
    url: String,
}

impl Database {
    /// Creates an empty database in the cluster at this URL.
    pub(crate) async fn create(cluster: &str) -> anyhow::Result<Self> {
        let name = format!("test_{}", Uuid::now_v7().simple());
        let client = connect(cluster).await?;
        // From template0, which accepts no connections: a connection to the template would make this fail.
        client
            .batch_execute(&format!("CREATE DATABASE {name} TEMPLATE template0"))
            .await?;
        Ok(Self {
            cluster: cluster.to_owned(),
            url: with_database(cluster, &name)?,
            name,
        })
    }

    /// The same database, at the URL of this proxy.
    ///
    /// # Errors
    /// When the URL is malformed.
    pub fn behind(mut self, proxy: &Proxy) -> anyhow::Result<Self> {
        self.url = with_database(proxy.url(), &self.name)?;
        Ok(self)
    }

    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A connection to it, for a test that reads the data.
    ///
    /// # Errors
    /// When the cluster is unreachable.
    pub async fn connect(&self) -> anyhow::Result<Client> {
        connect(&self.url).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let (cluster, name) = (self.cluster.clone(), self.name.clone());
        // Drop is not async, and the test's runtime may be shutting down: another thread runs its own
        // runtime.
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
        // The whole cluster is deleted soon; a test that stopped it must not fail here.
        let _ = dropping.join();
    }
}

/// The URL without its TLS parameters: the services accept more `sslmode`s than tokio-postgres does, and
/// whether a server accepts connections does not depend on them.
fn without_tls(url: &str) -> String {
    let Some((base, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let tls = |pair: &&str| {
        let (name, _) = pair.split_once('=').unwrap_or((pair, ""));
        matches!(name, "sslmode" | "sslrootcert")
    };
    let others: Vec<&str> = query.split('&').filter(|pair| !tls(pair)).collect();
    if others.is_empty() {
        base.to_owned()
    } else {
        format!("{base}?{}", others.join("&"))
    }
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
    async fn a_url_with_any_sslmode_of_the_services_can_be_reached() {
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

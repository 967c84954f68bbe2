//! From the database's URL to a connection. `sslmode` and `sslrootcert` are taken out of the URL here, because tokio-postgres does
//! not know all that libpq takes for them; the rest of the URL is its own.

use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::AsyncPgConnection;
use telemetry::db::Server;
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::StoreError;
use crate::tls::Tls;

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Connector {
    config: tokio_postgres::Config,
    tls: MakeRustlsConnect,
    runtime: Handle,
}

impl Connector {
    /// Reads the URL. Its connections live on the runtime that this is called in: a thread of a web server may end while another
    /// uses the connection that it made.
    pub(crate) fn new(database_url: &str) -> Result<Self, StoreError> {
        let runtime = Handle::try_current().map_err(|error| {
            StoreError::Config(format!("the store needs a tokio runtime: {error}"))
        })?;
        let (url, tls) = Tls::split_from(database_url)?;
        let mut config: tokio_postgres::Config = url.parse().map_err(|error| {
            StoreError::Config(format!("the database's URL is malformed: {error}"))
        })?;
        config.ssl_mode(tls.mode());
        if config.get_hosts().len() > 1 && !url.contains("target_session_attrs=") {
            // One of them is a standby, and after a failover another one is.
            config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
        Ok(Self {
            config,
            tls: tls.connector()?,
            runtime,
        })
    }

    pub(crate) fn application_name(mut self, name: impl Into<String>) -> Self {
        self.config.application_name(name);
        self
    }

    /// PostgreSQL ends statements that take longer; zero is never.
    pub(crate) fn statement_timeout(mut self, timeout: Duration) -> Self {
        let before = self.config.get_options().unwrap_or_default();
        let options = format!("{before} -c statement_timeout={}", timeout.as_millis());
        self.config.options(options.trim_start());
        self
    }

    /// The longest wait for each of the server's addresses.
    pub(crate) fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.config.connect_timeout(timeout);
        self
    }

    /// How long all of it may take: each address in turn, and, where there are several, the handshake with the last.
    fn patience(&self) -> Option<Duration> {
        let each = *self.config.get_connect_timeout()?;
        let waits = match self.config.get_hosts().len() {
            0 | 1 => 1,
            hosts => u32::try_from(hosts).unwrap_or(u32::MAX).saturating_add(1),
        };
        Some(each.saturating_mul(waits))
    }

    /// A server that takes the connection and never answers costs no more than the patience; and nothing is left of a caller that
    /// gave up before.
    ///
    /// # Errors
    /// [`ConnectionError::InvalidConnectionUrl`] where the server answered that it knows no such user, password or database.
    pub(crate) async fn connect(&self) -> ConnectionResult<AsyncPgConnection> {
        let Self {
            config,
            tls,
            runtime,
        } = self.clone();
        let connecting = async move {
            let (client, connection) = config.connect(tls).await.map_err(refused)?;
            AsyncPgConnection::try_from_client_and_connection(client, connection).await
        };
        // Aborted when this future is dropped.
        let mut task = JoinSet::new();
        task.spawn_on(connecting, &runtime);
        let joined = match self.patience() {
            Some(patience) => timeout(patience, task.join_next()).await.map_err(|_| {
                ConnectionError::BadConnection(format!("no connection within {patience:?}"))
            })?,
            None => task.join_next().await,
        };
        let ended = || ConnectionError::BadConnection("the connecting task ended".to_owned());
        joined.ok_or_else(ended)?.map_err(bad_connection)?
    }

    /// The server as spans name it: the first one of the URL.
    pub(crate) fn server(&self, slow: Duration) -> Server {
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        };
        let port = self.config.get_ports().first().copied().unwrap_or(5432);
        let database = self
            .config
            .get_dbname()
            .or(self.config.get_user())
            .unwrap_or("postgres");
        Server::new(&host, port, database, slow)
    }
}

fn refused(error: tokio_postgres::Error) -> ConnectionError {
    let hopeless = [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        SqlState::INVALID_CATALOG_NAME,
    ];
    match error.as_db_error() {
        Some(answer) if hopeless.contains(answer.code()) => {
            ConnectionError::InvalidConnectionUrl(answer.message().to_owned())
        }
        _ => bad_connection(error),
    }
}

fn bad_connection(error: impl std::error::Error) -> ConnectionError {
    ConnectionError::BadConnection(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str) -> String {
        Connector::new(url)
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    }

    #[tokio::test]
    async fn a_malformed_url_is_an_error_at_once_and_does_not_print_the_password() {
        for url in [
            "postgres://shop:s3cret@localhost:nine/orders",
            "postgres://shop:s3cret@localhost/orders?sslmode=maybe",
            "postgres://shop:s3cret@localhost/orders?colour=red",
            "postgres://shop:or?s3cret@localhost/orders",
            "mysql://shop:s3cret@localhost/orders",
            "shop:s3cret@localhost",
        ] {
            let error = refused(url);
            assert!(error.contains("URL"), "{url}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[tokio::test]
    async fn of_several_servers_the_one_that_takes_writes_is_wanted_unless_the_url_says_otherwise()
    {
        for (url, wanted) in [
            ("postgres://a/orders", TargetSessionAttrs::Any),
            ("postgres://a,b/orders", TargetSessionAttrs::ReadWrite),
            (
                "postgres://a,b/orders?target_session_attrs=any",
                TargetSessionAttrs::Any,
            ),
        ] {
            let connector = Connector::new(url).unwrap();
            assert_eq!(connector.config.get_target_session_attrs(), wanted, "{url}");
        }
    }

    #[tokio::test]
    async fn each_server_gets_its_time_before_the_connecting_is_given_up() {
        let second = Duration::from_secs(1);
        for (url, patience) in [("postgres://a/orders", 1), ("postgres://a,b/orders", 3)] {
            let connector = Connector::new(url).unwrap().connect_timeout(second);
            assert_eq!(connector.patience(), Some(second * patience), "{url}");
        }
    }

    #[tokio::test]
    async fn the_statement_timeout_joins_the_urls_own_options() {
        let connector =
            Connector::new("postgres://localhost/orders?options=-c%20search_path%3Dshop")
                .unwrap()
                .statement_timeout(Duration::from_secs(5));
        let options = "-c search_path=shop -c statement_timeout=5000";
        assert_eq!(connector.config.get_options(), Some(options));
    }
}

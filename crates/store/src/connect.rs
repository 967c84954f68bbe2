//! From the database's URL to a connection. `sslmode` and `sslrootcert` are taken out of the URL here, because tokio-postgres does
//! not know all that libpq takes for them; the rest of the URL is its own.

use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::AsyncPgConnection;
use telemetry::db::Server;
use tokio::runtime::Handle;
use tokio_postgres::config::Host;
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
        let (config, tls) = read(database_url)?;
        Ok(Self {
            config,
            tls,
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

    pub(crate) async fn connect(&self) -> ConnectionResult<AsyncPgConnection> {
        let Self {
            config,
            tls,
            runtime,
        } = self.clone();
        let connecting = async move {
            let (client, connection) = config.connect(tls).await.map_err(bad_connection)?;
            AsyncPgConnection::try_from_client_and_connection(client, connection).await
        };
        runtime.spawn(connecting).await.map_err(bad_connection)?
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

/// What a URL says; an error never repeats it.
pub(crate) fn read(
    database_url: &str,
) -> Result<(tokio_postgres::Config, MakeRustlsConnect), StoreError> {
    let (url, tls) = Tls::split_from(database_url)?;
    let mut config: tokio_postgres::Config = url
        .parse()
        .map_err(|error| StoreError::Config(format!("the database's URL is malformed: {error}")))?;
    config.ssl_mode(tls.mode());
    Ok((config, tls.connector()?))
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
    async fn the_statement_timeout_joins_the_urls_own_options() {
        let connector =
            Connector::new("postgres://localhost/orders?options=-c%20search_path%3Dshop")
                .unwrap()
                .statement_timeout(Duration::from_secs(5));
        let options = "-c search_path=shop -c statement_timeout=5000";
        assert_eq!(connector.config.get_options(), Some(options));
    }
}

//! From the database's URL to a connection. `sslmode` and `sslrootcert` are handled here, because
//! tokio-postgres does not know all of libpq's values, and `pgbouncer`, which it does not know; it reads the
//! rest of the URL itself, such as `connect_timeout` and `keepalives_idle`.

use std::time::Duration;

use diesel::{ConnectionError, ConnectionResult};
use telemetry::db::Server;
use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::StoreError;
use crate::pg::connection::Connection;
use crate::pg::tls::Tls;

/// Makes connections.
#[derive(Clone)]
pub(crate) struct Connector {
    /// One for each server, in the URL's order. tokio-postgres can try several servers itself, but stops at
    /// one that accepts the connection and never responds.
    servers: Vec<Config>,
    tls: MakeRustlsConnect,
    pgbouncer: bool,
    runtime: Handle,
}

impl Connector {
    /// Reads the URL. All connections run on the runtime of this call: a web server's thread may end while
    /// another thread uses the connection that it made.
    pub(crate) fn new(database_url: &str) -> Result<Self, StoreError> {
        let runtime = Handle::try_current()
            .map_err(|error| StoreError::Config(format!("the store needs a tokio runtime: {error}")))?;
        let (servers, tls, pgbouncer) = read(database_url)?;
        Ok(Self {
            servers,
            tls,
            pgbouncer,
            runtime,
        })
    }

    fn configure(mut self, set: impl Fn(&mut Config)) -> Self {
        self.servers.iter_mut().for_each(set);
        self
    }

    pub(crate) fn application_name(self, name: impl Into<String>) -> Self {
        let name = name.into();
        self.configure(|server| {
            server.application_name(&name);
        })
    }

    /// PostgreSQL ends statements that take longer; zero disables that. Not behind PgBouncer, which refuses
    /// the parameter: there it is a setting of the role.
    pub(crate) fn statement_timeout(self, timeout: Duration) -> Self {
        self.option(&format!("statement_timeout={}", timeout.as_millis()))
    }

    /// For statements that each find a few rows by id: PostgreSQL keeps a prepared statement's plan, and one
    /// that was made while the table was small would read all of it when it is large.
    pub(crate) fn for_lanes(self, connect_timeout: Duration) -> Self {
        ["seqscan", "hashjoin", "mergejoin"]
            .into_iter()
            .fold(self, |connector, path| {
                connector.option(&format!("enable_{path}=off"))
            })
            .connect_timeout(connect_timeout)
    }

    /// Connections run on the runtime of this call, which must outlive them.
    pub(crate) fn on_current_runtime(self) -> Self {
        Self {
            runtime: Handle::current(),
            ..self
        }
    }

    /// Not behind PgBouncer, which refuses the parameter.
    pub(crate) fn option(self, setting: &str) -> Self {
        if self.pgbouncer {
            return self;
        }
        self.configure(|server| {
            let before = server.get_options().unwrap_or_default();
            let options = format!("{before} -c {setting}");
            server.options(options.trim_start());
        })
    }

    /// The connect timeout for each of the server's addresses.
    pub(crate) fn connect_timeout(self, timeout: Duration) -> Self {
        self.configure(|server| {
            server.connect_timeout(timeout);
        })
    }

    /// The connect timeout for all servers together.
    pub(crate) fn connect_timeout_of_all(self, timeout: Duration) -> Self {
        let servers = u32::try_from(self.servers.len().max(1)).unwrap_or(u32::MAX);
        self.connect_timeout(timeout / servers)
    }

    /// Tries one server after the other, each for the connect timeout. Dropping the future aborts.
    ///
    /// # Errors
    /// [`ConnectionError::InvalidConnectionUrl`] if the server responds that it knows no such user, password
    /// or database.
    pub(crate) async fn connect(&self) -> ConnectionResult<Connection> {
        let (server, client) = self.connect_to_any().await?;
        let port = server.get_ports().first().copied().unwrap_or(5432);
        let address = match server.get_hosts().first() {
            Some(Host::Tcp(host)) => Some((host.clone(), port)),
            _ => None,
        };
        Ok(Connection::new(
            client,
            address,
            self.tls.clone(),
            !self.pgbouncer,
        ))
    }

    /// As [`Connector::connect`], without diesel. The task that drives the client ends with it.
    pub(crate) async fn client(&self) -> ConnectionResult<(Client, AbortHandle)> {
        Ok(self.connect_to_any().await?.1)
    }

    async fn connect_to_any(&self) -> ConnectionResult<(&Config, (Client, AbortHandle))> {
        let mut failure = ConnectionError::BadConnection("the URL names no server".to_owned());
        for server in &self.servers {
            match self.connect_to(server).await {
                Ok(client) => return Ok((server, client)),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn connect_to(&self, server: &Config) -> ConnectionResult<(Client, AbortHandle)> {
        let (config, tls) = (server.clone(), self.tls.clone());
        let connecting = async move {
            let (client, connection) = config.connect(tls).await.map_err(connect_error)?;
            // An error of the connection is also the client's.
            let driver = tokio::spawn(connection).abort_handle();
            Ok((client, driver))
        };
        // Aborted when this future is dropped.
        let mut task = JoinSet::new();
        task.spawn_on(connecting, &self.runtime);
        let joined = match server.get_connect_timeout().copied() {
            Some(limit) => timeout(limit, task.join_next())
                .await
                .map_err(|_| ConnectionError::BadConnection(format!("no connection within {limit:?}")))?,
            None => task.join_next().await,
        };
        let ended = || ConnectionError::BadConnection("the connecting task ended".to_owned());
        joined.ok_or_else(ended)?.map_err(bad_connection)?
    }

    /// Whether the server is PgBouncer in transaction mode.
    pub(crate) fn is_pgbouncer(&self) -> bool {
        self.pgbouncer
    }

    pub(crate) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// The server's name in spans: the URL's first server.
    pub(crate) fn server(&self, slow_query_threshold: Duration) -> Server {
        let first = self.servers.first();
        let host = match first.and_then(|first| first.get_hosts().first()) {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => "localhost".to_owned(),
        };
        let port = first.and_then(|first| first.get_ports().first());
        let port = port.copied().unwrap_or(5432);
        let database = first
            .and_then(|first| first.get_dbname().or(first.get_user()))
            .unwrap_or("postgres");
        Server::new(&host, port, database, slow_query_threshold)
    }
}

/// Reads the configuration of each of the URL's servers, and whether they are PgBouncer in transaction mode.
/// An error never contains the URL.
pub(crate) fn read(database_url: &str) -> Result<(Vec<Config>, MakeRustlsConnect, bool), StoreError> {
    let (url, tls) = Tls::split_from(database_url)?;
    let (url, pgbouncer) = split_pgbouncer(&url)?;
    let several = parse(&url)?.get_hosts().len() > 1;
    let urls = if several {
        each_server(&url)
    } else {
        vec![url.clone()]
    };
    let mut servers = urls.iter().map(|url| parse(url)).collect::<Result<Vec<_>, _>>()?;
    for server in &mut servers {
        server.ssl_mode(tls.mode());
        if several && !url.contains("target_session_attrs=") {
            // All but one are standbys, and a failover changes which.
            server.target_session_attrs(TargetSessionAttrs::ReadWrite);
        }
    }
    Ok((servers, tls.connector()?, pgbouncer))
}

/// The hosts of the URL to which connections are in plain text, or to servers whose certificate is not
/// verified. Unix sockets are not among them.
pub(crate) fn unverified_hosts(database_url: &str) -> Result<Vec<String>, StoreError> {
    let (servers, ..) = read(database_url)?;
    if Tls::split_from(database_url)?.1.is_fully_verified() {
        return Ok(Vec::new());
    }
    let hosts = servers.iter().flat_map(|server| {
        let names = server.get_hosts().iter().filter_map(|host| match host {
            Host::Tcp(name) => Some(name.clone()),
            Host::Unix(_) => None,
        });
        names.chain(server.get_hostaddrs().iter().map(ToString::to_string))
    });
    Ok(hosts.collect())
}

/// Removes `pgbouncer=true` from the URL.
fn split_pgbouncer(url: &str) -> Result<(String, bool), StoreError> {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let (mut separator, mut others, mut pgbouncer) = ('?', base.to_owned(), false);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("pgbouncer", "true")) => pgbouncer = true,
            Some(("pgbouncer", "false")) => {}
            Some(("pgbouncer", _)) => {
                let error = "the database's URL has a pgbouncer parameter; accepted: true, false";
                return Err(StoreError::Config(error.to_owned()));
            }
            _ => {
                others.push(separator);
                others.push_str(pair);
                separator = '&';
            }
        }
    }
    Ok((others, pgbouncer))
}

fn parse(url: &str) -> Result<Config, StoreError> {
    url.parse()
        .map_err(|error| StoreError::Config(format!("the database's URL is malformed: {error}")))
}

/// One URL for each server in a URL with several.
fn each_server(url: &str) -> Vec<String> {
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (user, servers) = match authority.rsplit_once('@') {
        Some((user, servers)) => (format!("{user}@"), servers),
        None => (String::new(), authority),
    };
    let of = |server| format!("{scheme}://{user}{server}{path}");
    servers.split(',').map(of).collect()
}

fn connect_error(error: tokio_postgres::Error) -> ConnectionError {
    let permanent = [
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        SqlState::INVALID_CATALOG_NAME,
    ];
    match error.as_db_error() {
        Some(response) if permanent.contains(response.code()) => {
            ConnectionError::InvalidConnectionUrl(response.message().to_owned())
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

    fn error(url: &str) -> String {
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
            let error = error(url);
            assert!(error.contains("URL"), "{url}: {error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[tokio::test]
    async fn of_several_servers_the_primary_is_selected_unless_the_url_says_otherwise() {
        for (url, expected) in [
            ("postgres://a/orders", TargetSessionAttrs::Any),
            ("postgres://a,b/orders", TargetSessionAttrs::ReadWrite),
            (
                "postgres://a,b/orders?target_session_attrs=any",
                TargetSessionAttrs::Any,
            ),
        ] {
            let connector = Connector::new(url).unwrap();
            for server in connector.servers {
                assert_eq!(server.get_target_session_attrs(), expected, "{url}");
            }
        }
    }

    #[test]
    fn each_server_gets_its_own_url() {
        let urls = each_server("postgres://shop:a%40b@one:1,two/orders?options=-c%20x%3D1");
        let (user, path) = ("postgres://shop:a%40b@", "/orders?options=-c%20x%3D1");
        assert_eq!(urls, [format!("{user}one:1{path}"), format!("{user}two{path}")]);
        assert_eq!(
            each_server("postgres://one,two"),
            ["postgres://one", "postgres://two"]
        );
    }

    #[tokio::test]
    async fn the_statement_timeout_joins_the_urls_own_options() {
        let connector = Connector::new("postgres://localhost/orders?options=-c%20search_path%3Dshop")
            .unwrap()
            .statement_timeout(Duration::from_secs(5));
        let options = "-c search_path=shop -c statement_timeout=5000";
        assert_eq!(connector.servers[0].get_options(), Some(options));
    }
}

//! The store's settings.

use std::time::Duration;

use settings::{Env, ExposeSecret, SecretString, SettingError};

use crate::pg::connect;

/// Callers that may wait, per connection. A statement takes a few milliseconds, so a longer queue means that
/// PostgreSQL is overloaded: further callers fail fast instead of waiting.
pub const WAITING_PER_CONNECTION: usize = 8;

/// PostgreSQL's address, the pool's size, and the timeouts.
#[derive(Debug, Clone)]
pub struct StoreConfig {
    /// `postgres://user:password@host:port/database`, as for libpq, with `sslmode` (disable, prefer, require,
    /// verify-ca or verify-full), `sslrootcert` (a file of PEM certificates) and `pgbouncer=true`
    /// (PgBouncer in transaction mode).
    pub database_url: SecretString,
    /// The maximum number of connections.
    pub pool_size: usize,
    /// PostgreSQL ends a statement that takes longer.
    pub statement_timeout: Duration,
    /// The maximum number of connections for pages and totals, beside those of `pool_size`.
    pub reporting_pool_size: usize,
    /// The statement timeout of pages and totals.
    pub reporting_timeout: Duration,
    /// The timeout for a free connection, and the connect timeout of a new one.
    pub acquire_timeout: Duration,
    /// Callers that may wait for a free connection; further ones get
    /// [`StoreError::Busy`](crate::StoreError::Busy) at once.
    pub max_waiting: usize,
    /// Statements that take longer are marked as slow in their spans.
    pub slow_query_threshold: Duration,
    /// The connections' name in `pg_stat_activity`.
    pub application_name: String,
}

impl StoreConfig {
    /// 16 connections and 4 for pages and totals, [`WAITING_PER_CONNECTION`] waiting callers for each,
    /// statement timeouts of 5 s, a timeout of 2 s for a connection, slow from 100 ms.
    pub fn new(database_url: impl Into<SecretString>, application_name: impl Into<String>) -> Self {
        Self {
            database_url: database_url.into(),
            pool_size: 16,
            max_waiting: 16 * WAITING_PER_CONNECTION,
            statement_timeout: Duration::from_secs(5),
            reporting_pool_size: 4,
            reporting_timeout: Duration::from_secs(5),
            acquire_timeout: Duration::from_secs(2),
            slow_query_threshold: Duration::from_millis(100),
            application_name: application_name.into(),
        }
    }

    /// Reads DATABASE_URL, DATABASE_POOL_SIZE, DATABASE_STATEMENT_TIMEOUT, DATABASE_REPORTING_POOL_SIZE,
    /// DATABASE_REPORTING_TIMEOUT and SLOW_QUERY_THRESHOLD.
    pub fn from_env(env: &Env, application_name: impl Into<String>) -> Result<Self, SettingError> {
        let default = Self::new(database_url(env)?, application_name);
        let pool_size = env.within("DATABASE_POOL_SIZE", default.pool_size, 1..=1000)?;
        Ok(Self {
            pool_size,
            max_waiting: pool_size.saturating_mul(WAITING_PER_CONNECTION),
            statement_timeout: timeout(env, "DATABASE_STATEMENT_TIMEOUT", default.statement_timeout)?,
            reporting_pool_size: env.within(
                "DATABASE_REPORTING_POOL_SIZE",
                default.reporting_pool_size,
                1..=1000,
            )?,
            reporting_timeout: timeout(env, "DATABASE_REPORTING_TIMEOUT", default.reporting_timeout)?,
            slow_query_threshold: env.duration_or("SLOW_QUERY_THRESHOLD", default.slow_query_threshold)?,
            ..default
        })
    }
}

/// PostgreSQL has it in milliseconds, as a number of 31 bits, and takes 0 for none.
fn timeout(env: &Env, name: &'static str, default: Duration) -> Result<Duration, SettingError> {
    let timeout = env.duration_or(name, default)?;
    let accepted = Duration::from_millis(1)..=Duration::from_secs(24 * 86_400);
    if accepted.contains(&timeout) {
        return Ok(timeout);
    }
    let got = env.get(name).unwrap_or_default();
    Err(SettingError::bad(name, got, "a duration from 1ms to 24d"))
}

/// Reads DATABASE_URL or DATABASE_URL_FILE, and the certificates that it refers to. Outside development, the
/// server's certificate is verified unless the server is in a private network.
pub fn database_url(env: &Env) -> Result<SecretString, SettingError> {
    const NAME: &str = "DATABASE_URL";
    const TAKES: &str = "a URL: postgres://user:password@host:5432/database";
    let secret = env
        .secret(NAME)?
        .ok_or_else(|| SettingError::missing(NAME, TAKES))?;
    let url = secret.expose_secret();
    let unverified = connect::unverified_hosts(url)
        .map_err(|why| SettingError::bad_url(NAME, url, format!("{TAKES} ({why})")))?;
    for host in unverified {
        env.check_plaintext(NAME, url, &host, "sslmode=verify-full")?;
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_printed() {
        let config = StoreConfig::new("postgres://me:s3cret@localhost/orders", "test");
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn a_statement_timeout_is_one_that_postgresql_accepts() {
        const NAME: &str = "DATABASE_STATEMENT_TIMEOUT";
        let read = |value: &str| timeout(&Env::of([(NAME, value)]), NAME, Duration::from_secs(5));
        assert_eq!(read("24d"), Ok(Duration::from_secs(24 * 86_400)));
        for bad in ["0.5ms", "25d"] {
            let expected = format!("{NAME}: got `{bad}`; takes a duration from 1ms to 24d");
            assert_eq!(read(bad).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn outside_development_a_public_server_is_verified() {
        let read = |url: &str| database_url(&Env::of([("ENVIRONMENT", "production"), ("DATABASE_URL", url)]));
        for query in ["", "?sslmode=disable", "?sslmode=prefer", "?sslmode=require"] {
            for host in ["db.example.com", "postgres,db.example.com", "8.8.8.8"] {
                let url = format!("postgres://me:secret@{host}/orders{query}");
                let error = read(&url).unwrap_err();
                let expected =
                    "DATABASE_URL: got `postgres://***`; takes sslmode=verify-full, as the host is";
                assert!(error.to_string().starts_with(expected), "{error}");
            }
        }
        let elsewhere = "postgres://localhost/orders?hostaddr=8.8.8.8";
        assert!(read(elsewhere).is_err());
        for url in [
            "postgres://127.0.0.1/orders",
            "postgres://postgres,10.0.0.1/orders",
            "postgres://%2Frun%2Fpostgresql/orders",
            "postgres://db.example.com/orders?sslmode=verify-full",
        ] {
            assert!(read(url).is_ok(), "{url}");
        }
    }
}

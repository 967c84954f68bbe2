//! Connections to a PostgreSQL server, without TLS.

use std::time::Duration;

use anyhow::{Context, ensure};
use tokio::time::{Instant, sleep};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls};

/// How long a connection attempt may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

const POLL_INTERVAL: Duration = Duration::from_millis(10);

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

/// Repeats the statement until it returns a row.
pub(crate) async fn wait_for_row(
    client: &Client,
    statement: &str,
    parameters: &[&(dyn ToSql + Sync)],
    timeout: Duration,
) -> anyhow::Result<()> {
    let end = Instant::now() + timeout;
    while client.query_opt(statement, parameters).await?.is_none() {
        ensure!(Instant::now() < end, "no row within {timeout:?}: {statement}");
        sleep(POLL_INTERVAL).await;
    }
    Ok(())
}

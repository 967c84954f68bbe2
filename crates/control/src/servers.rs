//! Connections to PostgreSQL and Redis, beside those of the services.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context;
use redis::aio::MultiplexedConnection;
use tokio::time::timeout;
use tokio_postgres::{Client, NoTls};

use crate::part::Part;
use crate::system::System;

const TIMEOUT: Duration = Duration::from_secs(5);

/// A connection to the database of the services.
pub(crate) async fn sql(system: &System) -> anyhow::Result<Client> {
    let connecting = timeout(TIMEOUT, tokio_postgres::connect(&system.database_url, NoTls));
    let connected = connecting.await.context("PostgreSQL does not respond")?;
    let (client, connection) = connected.context("PostgreSQL is unreachable")?;
    tokio::spawn(connection);
    Ok(client)
}

/// A connection to Redis.
pub(crate) async fn redis(system: &System) -> anyhow::Result<MultiplexedConnection> {
    let client = redis::Client::open(system.redis_url.as_str())?;
    let connecting = timeout(TIMEOUT, client.get_multiplexed_async_connection());
    connecting
        .await
        .context("Redis does not respond")?
        .context("Redis is unreachable")
}

/// Their versions, as far as they say them.
pub(crate) async fn versions(system: &System) -> BTreeMap<Part, String> {
    let postgres = async {
        let row = sql(system).await?.query_one("SHOW server_version", &[]).await?;
        // Debian adds the version of its package.
        let version: String = row.get(0);
        anyhow::Ok(version.split(' ').next().unwrap_or_default().to_owned())
    };
    let redis = async {
        let info = redis::cmd("INFO").arg("server").to_owned();
        let info: String = info.query_async(&mut redis(system).await?).await?;
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        version.map(str::to_owned).context("no version")
    };
    let (postgres, redis) = tokio::join!(postgres, redis);
    let known = [(Part::PostgreSql, postgres.ok()), (Part::Redis, redis.ok())];
    known
        .into_iter()
        .filter_map(|(part, version)| Some((part, version?)))
        .collect()
}

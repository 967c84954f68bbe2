//! The servers that all tests of a run share.
//!
//! `cargo xtask test` starts them once and names them in the environment; without it (plain `cargo test`) each test process starts its
//! own when the first test asks, and they end with the process.

use tokio::sync::OnceCell;

use crate::postgres::{Database, Postgres};
use crate::redis::Redis;

/// A superuser's URL of the cluster in which tests make their databases.
pub const DATABASE_URL: &str = "THROUGHLINE_TEST_DATABASE_URL";
/// The Redis that tests share, each with queue names of its own.
pub const REDIS_URL: &str = "THROUGHLINE_TEST_REDIS_URL";

static POSTGRES: OnceCell<Postgres> = OnceCell::const_new();
static REDIS: OnceCell<Redis> = OnceCell::const_new();

/// A new, empty database of the test's own.
///
/// # Errors
/// When there is no PostgreSQL and none can be started; the message says what to install.
pub async fn database() -> anyhow::Result<Database> {
    if let Ok(url) = std::env::var(DATABASE_URL) {
        return Database::create(&url).await;
    }
    POSTGRES.get_or_try_init(Postgres::start).await?.database().await
}

/// The run's shared Redis. Tests keep out of each other's way by queue names of their own.
///
/// # Errors
/// When there is no Redis and none can be started; the message says what to install.
pub async fn redis() -> anyhow::Result<Redis> {
    if let Ok(url) = std::env::var(REDIS_URL) {
        return Ok(Redis::shared(url));
    }
    Ok(Redis::shared(
        REDIS.get_or_try_init(Redis::start).await?.url().to_owned(),
    ))
}

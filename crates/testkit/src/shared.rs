//! The servers that all tests of a run share.
//!
//! `cargo xtask test` starts them once and names them in the environment. Without it (plain `cargo test`)
//! each test process starts private ones for its first test, and they stop with the process.

use tokio::sync::OnceCell;

use crate::postgres::{Database, Postgres};
use crate::redis::Redis;
use crate::server::{DATABASE_URL, REDIS_URL};

static POSTGRES: OnceCell<Postgres> = OnceCell::const_new();
static REDIS: OnceCell<Redis> = OnceCell::const_new();

/// A new, empty database for one test.
///
/// # Errors
/// When no PostgreSQL is running and none can be started; the message says what to install.
pub async fn database() -> anyhow::Result<Database> {
    if let Ok(url) = std::env::var(DATABASE_URL) {
        return Database::create(&url).await;
    }
    POSTGRES.get_or_try_init(Postgres::start).await?.database().await
}

/// The shared Redis of the test run. Each test uses its own queue names.
///
/// # Errors
/// When no Redis is running and none can be started; the message says what to install.
pub async fn redis() -> anyhow::Result<Redis> {
    if let Ok(url) = std::env::var(REDIS_URL) {
        return Ok(Redis::shared(url));
    }
    Ok(Redis::shared(
        REDIS.get_or_try_init(Redis::start).await?.url().to_owned(),
    ))
}

//! The embedded migrations. Of replicas that start at the same time, one migrates; the others wait for it and
//! find nothing to do.

use std::time::Duration;

use diesel::dsl::sql;
use diesel::sql_types::Bool;
use diesel::{ConnectionError, RunQueryDsl};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::error::{BoxError, StoreError};
use crate::pg::connect::Connector;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// The key of the advisory lock during a migration: "thruline" in ASCII. The lock ends with its connection.
const LOCK_KEY: i64 = 0x7468_7275_6c69_6e65;

const LOCK_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// For each of the server's addresses.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Applies the migrations that the database does not have yet, and gives their versions. Safe to run from
/// many replicas at once.
///
/// # Errors
/// [`StoreError::Migration`] if one fails; it and the following ones are not applied. [`StoreError::Config`]
/// if the server knows no such user, password or database.
pub async fn migrate(database_url: &str) -> Result<Vec<String>, StoreError> {
    let connector = Connector::new(database_url)?
        .application_name("throughline-migrate")
        .connect_timeout(CONNECT_TIMEOUT)
        .statement_timeout(Duration::ZERO);
    let connection = connector.connect().await.map_err(|error| match error {
        ConnectionError::InvalidConnectionUrl(why) => StoreError::Config(why),
        error => StoreError::Unavailable(error.into()),
    })?;
    // diesel's harness is synchronous.
    tokio::task::spawn_blocking(move || apply(connection))
        .await
        .map_err(|error| StoreError::Migration(error.into()))?
        .map_err(StoreError::Migration)
}

fn apply(connection: AsyncPgConnection) -> Result<Vec<String>, BoxError> {
    let mut connection = AsyncConnectionWrapper::<_>::from(connection);
    // Polled: a session that waits in pg_advisory_lock has a snapshot, and CREATE INDEX CONCURRENTLY in the
    // session that has the lock would wait for it.
    let lock = sql::<Bool>(&format!("pg_try_advisory_lock({LOCK_KEY})"));
    while !diesel::select(lock.clone()).get_result::<bool>(&mut connection)? {
        std::thread::sleep(LOCK_POLL_INTERVAL);
    }
    let applied = connection.run_pending_migrations(MIGRATIONS)?;
    Ok(applied.iter().map(ToString::to_string).collect())
}

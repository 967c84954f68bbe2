//! The embedded migrations. Of replicas that start at the same time, one migrates; the others wait for it and
//! find nothing to do. No migration blocks the orders' readers and writers for longer than [`LOCK_TIMEOUT`]:
//! see `docs/upgrading.md` for the rules of a migration.

mod blockers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::dsl::sql;
use diesel::migration::{Migration, MigrationSource};
use diesel::pg::Pg;
use diesel::sql_types::{Bool, Integer, Text};
use diesel::{ConnectionError, QueryableByName, RunQueryDsl};
use diesel_async::AsyncPgConnection;
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use crate::error::{BoxError, StoreError};
use crate::pg::connect::Connector;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!();

/// The key of the advisory lock during a migration: "thruline" in ASCII. The lock ends with its connection.
const LOCK_KEY: i64 = 0x7468_7275_6c69_6e65;

/// How often the other replicas try to get the advisory lock. They poll because a waiting statement has a
/// snapshot, and an index that is built concurrently waits for the end of every older one.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// For each of the server's addresses.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a statement of a migration waits for a lock. Later statements of others wait behind it, for at
/// most this long.
const LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a migration that gets no lock is repeated, and the backoff in between, which doubles.
const RETRY_TIMEOUT: Duration = Duration::from_secs(60);
const MIN_BACKOFF: Duration = Duration::from_millis(500);
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// Invalid indexes that no session is building: an aborted build left them.
const INVALID_INDEXES: &str = "\
    SELECT indexrelid::regclass::text AS name FROM pg_index \
    WHERE NOT indisvalid AND indrelid = ANY (ARRAY[to_regclass('orders'), to_regclass('idempotency_keys')]) \
    AND indexrelid NOT IN (SELECT index_relid FROM pg_stat_progress_create_index WHERE index_relid IS NOT NULL)";

/// Whether the payments that release 0.1 left pending are all settled, and the constraint is not yet
/// validated.
const ALL_ARE_SETTLED: &str = "\
    EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass('orders') \
      AND conname = 'orders_final_is_settled' AND NOT convalidated) \
    AND NOT EXISTS (SELECT FROM orders WHERE payment_status = 'pending' AND status IN ('failed', 'cancelled'))";

type Connection = AsyncConnectionWrapper<AsyncPgConnection>;

/// Applies the migrations that the database does not have yet, and gives their versions. Safe to run from
/// many replicas at once, and beside running programs of this release and the one before.
///
/// # Errors
/// [`StoreError::Migration`] if one fails, or gets no lock within a minute; it and the following ones are not
/// applied. [`StoreError::Config`] if the server knows no such user, password or database.
pub async fn migrate(database_url: &str) -> Result<Vec<String>, StoreError> {
    migrate_reporting(database_url, |_| {}).await
}

/// As [`migrate`]; calls `report` with a line for people when it waits for another session.
pub async fn migrate_reporting(
    database_url: &str,
    report: impl Fn(&str) + Send + Sync + 'static,
) -> Result<Vec<String>, StoreError> {
    let connector = Connector::new(database_url)?;
    if connector.is_pgbouncer() {
        // The advisory lock and lock_timeout are a session's.
        let error = "migrations need a session: connect to PostgreSQL itself, without pgbouncer=true";
        return Err(StoreError::Config(error.to_owned()));
    }
    let connector = connector
        .application_name("throughline-migrate")
        .connect_timeout(CONNECT_TIMEOUT)
        .statement_timeout(Duration::ZERO);
    let connection = async {
        let (client, _) = connector.client().await?;
        AsyncPgConnection::try_from(client).await
    };
    let mut connection = connection.await.map_err(|error| match error {
        ConnectionError::InvalidConnectionUrl(why) => StoreError::Config(why),
        error => StoreError::unavailable(error),
    })?;
    let pid = diesel::select(sql::<Integer>("pg_backend_pid()"));
    let pid: i32 = diesel_async::RunQueryDsl::get_result(pid, &mut connection).await?;
    let report = Arc::new(report);
    let blockers = blockers::report(&connector, pid, report.as_ref());
    // diesel's harness is synchronous.
    let applied = {
        let report = report.clone();
        tokio::task::spawn_blocking(move || apply(connection.into(), report.as_ref()))
    };
    tokio::select! {
        applied = applied => applied
            .map_err(StoreError::migration)?
            .map_err(StoreError::migration),
        never = blockers => match never {},
    }
}

/// The version of the newest embedded migration.
pub(crate) fn newest_version() -> Result<String, StoreError> {
    let migrations: Vec<Box<dyn Migration<Pg>>> = MIGRATIONS.migrations().map_err(StoreError::migration)?;
    let versions = migrations
        .iter()
        .map(|migration| migration.name().version().to_string());
    versions
        .max()
        .ok_or_else(|| StoreError::migration("no migration is embedded"))
}

fn apply(mut connection: Connection, report: &dyn Fn(&str)) -> Result<Vec<String>, BoxError> {
    lock(&mut connection)?;
    let mut run = Run {
        connection,
        report,
        end: Instant::now() + RETRY_TIMEOUT,
    };
    let mut applied = Vec::new();
    for migration in run.connection.pending_migrations(MIGRATIONS)? {
        let name = migration.name().to_string();
        if migration.metadata().run_in_transaction() {
            run.with_lock_timeout(&name, |connection| {
                connection.run_migration(migration.as_ref()).map(drop)
            })?;
        } else {
            run.build_index(migration.as_ref())?;
        }
        applied.push(migration.name().version().to_string());
    }
    if diesel::select(sql::<Bool>(ALL_ARE_SETTLED)).get_result(&mut run.connection)? {
        run.with_lock_timeout("orders_final_is_settled", |connection| {
            let validate = "ALTER TABLE orders VALIDATE CONSTRAINT orders_final_is_settled";
            Ok(connection.batch_execute(validate)?)
        })?;
    }
    // Without it the lock would end a moment after this function, with the connection.
    let unlock = format!("SELECT pg_advisory_unlock({LOCK_KEY})");
    run.connection.batch_execute(&unlock)?;
    Ok(applied)
}

fn lock(connection: &mut Connection) -> Result<(), BoxError> {
    let attempt = format!("pg_try_advisory_lock({LOCK_KEY})");
    while !diesel::select(sql::<Bool>(&attempt)).get_result::<bool>(connection)? {
        std::thread::sleep(POLL_INTERVAL);
    }
    Ok(())
}

struct Run<'a> {
    connection: Connection,
    report: &'a dyn Fn(&str),
    end: Instant,
}

impl Run<'_> {
    /// Repeats `step` while it gets no lock. Between two of its attempts, the statements that waited behind
    /// it run. A lock timeout is known by its duration: diesel hides the SQLSTATE, and the message is in the
    /// server's language. A step that fails as slowly for another reason is repeated as well.
    fn with_lock_timeout(
        &mut self,
        name: &str,
        mut step: impl FnMut(&mut Connection) -> Result<(), BoxError>,
    ) -> Result<(), BoxError> {
        let set = format!("SET lock_timeout = {}", LOCK_TIMEOUT.as_millis());
        self.connection.batch_execute(&set)?;
        let mut backoff = MIN_BACKOFF;
        loop {
            let begun = Instant::now();
            match step(&mut self.connection) {
                Err(error) if begun.elapsed() >= LOCK_TIMEOUT && Instant::now() < self.end => {
                    (self.report)(&format!("{name}: {error}; next attempt in {backoff:?}"));
                    std::thread::sleep(backoff);
                    backoff = (backoff * 2).min(MAX_BACKOFF);
                }
                result => return result,
            }
        }
    }

    /// A migration of one `CREATE INDEX CONCURRENTLY`. No statement waits behind it, so it waits for as long
    /// as older transactions run.
    fn build_index(&mut self, migration: &dyn Migration<Pg>) -> Result<(), BoxError> {
        self.connection.batch_execute("SET lock_timeout = 0")?;
        let invalid: Vec<Index> = diesel::sql_query(INVALID_INDEXES).load(&mut self.connection)?;
        for Index { name } in invalid {
            (self.report)(&format!("dropping {name}, which an aborted build left invalid"));
            self.connection
                .batch_execute(&format!("DROP INDEX CONCURRENTLY {name}"))?;
        }
        self.connection.run_migration(migration).map(drop)
    }
}

#[derive(QueryableByName)]
struct Index {
    #[diesel(sql_type = Text)]
    name: String,
}

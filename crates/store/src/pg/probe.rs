//! The readiness check, on its own connection: a busy pool must not make it fail.

use std::sync::Arc;
use std::time::Duration;

use diesel::dsl::sql;
use diesel::sql_types::{Bool, Text};
use diesel_async::RunQueryDsl;
use telemetry::db::no_response;
use tokio::sync::Mutex;

use crate::error::StoreError;
use crate::pg::connect::Connector;
use crate::pg::connection::Connection;

/// For connecting and the response together.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// Cheap to clone; all clones share the connection.
#[derive(Clone)]
pub(crate) struct Probe {
    connector: Connector,
    connection: Arc<Mutex<Option<Connection>>>,
    newest_version: Arc<str>,
}

/// The database's schema, compared with the migrations that this version of the program embeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// The newest embedded migration is applied.
    Current,
    /// Some are applied, the newest is not.
    Outdated,
    /// There are no tables.
    Missing,
}

impl Schema {
    /// The word for readiness: `ok`, `outdated` or `missing`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Current => "ok",
            Self::Outdated => "outdated",
            Self::Missing => "missing",
        }
    }
}

impl Probe {
    /// `newest_version`: of the embedded migrations.
    pub(crate) fn new(connector: Connector, newest_version: String) -> Self {
        Self {
            newest_version: newest_version.into(),
            // A check that is dropped leaves its statement running, for at most this long.
            connector: connector
                .connect_timeout_of_all(PING_TIMEOUT)
                .statement_timeout(PING_TIMEOUT),
            connection: Arc::default(),
        }
    }

    /// Checks that PostgreSQL responds and accepts writes, and which schema it has; and whether the queue is
    /// paused.
    pub(crate) async fn schema(&self) -> Result<(Schema, bool), StoreError> {
        match tokio::time::timeout(PING_TIMEOUT, self.check()).await {
            Ok(result) => result,
            Err(_) => Err(no_response(PING_TIMEOUT).into()),
        }
    }

    /// Reuses the connection only while all is well: a server that became a standby may have a successor.
    async fn check(&self) -> Result<(Schema, bool), StoreError> {
        let mut slot = self.connection.lock().await;
        let mut connection = match slot.take().filter(|open| !open.is_closed()) {
            Some(connection) => connection,
            None => {
                let connected = self.connector.connect().await;
                connected.map_err(StoreError::unavailable)?
            }
        };
        let query = diesel::select((
            sql::<Bool>("pg_is_in_recovery()"),
            sql::<Bool>("to_regclass('orders') IS NOT NULL"),
        ));
        match query.get_result(&mut connection).await? {
            (true, _) => return Err(StoreError::NotReady("it is a standby")),
            (false, false) => return Ok((Schema::Missing, false)),
            (false, true) => {}
        }
        let applied = sql::<Bool>("EXISTS (SELECT FROM __diesel_schema_migrations WHERE version = ")
            .bind::<Text, _>(self.newest_version.as_ref())
            .sql(")");
        let mut checked = (Schema::Outdated, false);
        if diesel::select(applied).get_result(&mut connection).await? {
            let paused = sql::<Bool>("EXISTS (SELECT FROM queue_state WHERE paused_at IS NOT NULL)");
            let paused = diesel::select(paused).get_result(&mut connection).await?;
            checked = (Schema::Current, paused);
        }
        *slot = Some(connection);
        Ok(checked)
    }
}

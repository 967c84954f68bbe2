//! The way of every statement: a connection of the pool, a span, a bounded wait, and back. Futures are declared `Send` here: callers
//! that spawn them could not have the compiler prove it through diesel's types.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use diesel::QueryResult;
use diesel::dsl::sql;
use diesel::pg::Pg;
use diesel::query_builder::QueryFragment;
use diesel::sql_types::Bool;
use diesel_async::methods::{ExecuteDsl, LoadQuery};
use diesel_async::pooled_connection::PoolableConnection;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use telemetry::db::{Commented, Server, Statement, commented, no_answer};
use tokio::sync::Mutex;

use crate::connect::Connector;
use crate::pool::{Acquired, Pool, PoolStatus};
use crate::prepared::Prepared;
use crate::{StoreConfig, StoreError};

/// PostgreSQL ends a statement at its time-out; this much later the server or the network is taken to be gone.
const GRACE: Duration = Duration::from_secs(1);
/// How long PostgreSQL may take to answer [`Store::ping`].
const PING: Duration = Duration::from_secs(1);

/// The orders. Cheap to clone; all clones share one pool.
#[derive(Clone)]
pub struct Store {
    pool: Pool,
    server: Server,
    patience: Duration,
    /// For [`Store::ping`], which must not wait behind the callers of a pool that is busy.
    probe: Arc<Probe>,
}

struct Probe {
    connector: Connector,
    connection: Mutex<Option<AsyncPgConnection>>,
}

impl Store {
    /// Reads the settings; connects only when the first statement needs it. Call it inside the tokio runtime that is to drive the
    /// connections.
    ///
    /// # Errors
    /// [`StoreError::Config`] where the URL is malformed, its certificates cannot be read, or the statement time-out is zero.
    pub fn new(config: StoreConfig) -> Result<Self, StoreError> {
        if config.statement_timeout.as_millis() == 0 {
            let error = "the statement time-out is at least a millisecond";
            return Err(StoreError::Config(error.to_owned()));
        }
        let connector = Connector::new(&config.database_url)?
            .application_name(config.application_name)
            .statement_timeout(config.statement_timeout);
        Ok(Self {
            server: connector.server(config.slow_query_threshold),
            probe: Arc::new(Probe {
                connector: connector.clone().connect_timeout_of_all(PING),
                connection: Mutex::default(),
            }),
            pool: Pool::new(
                connector,
                config.pool_size,
                config.acquire_timeout,
                config.max_waiting,
            )?,
            patience: config.statement_timeout.saturating_add(GRACE),
        })
    }

    /// Whether PostgreSQL answers, takes writes, and has the schema. Asks on a connection of its own, so a busy pool is no reason to
    /// fail. Makes no span.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] where it does not answer within a second or so, [`StoreError::NotReady`] where it cannot serve.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match tokio::time::timeout(PING, self.probe.ask()).await {
            Ok(answer) => answer,
            Err(_) => Err(no_answer(PING).into()),
        }
    }

    /// How busy the pool is.
    pub fn pool_status(&self) -> PoolStatus {
        self.pool.status()
    }

    /// Runs a statement that gives rows.
    #[expect(clippy::manual_async_fn, reason = "an async fn would not be declared Send")]
    pub(crate) fn rows<'query, S, Q, R>(
        &self,
        query: Q,
    ) -> impl Future<Output = Result<Vec<R>, StoreError>> + Send
    where
        S: Statement + Send,
        Q: QueryFragment<Pg> + Send,
        R: Send,
        Prepared<Commented<Q, S>>: LoadQuery<'query, AsyncPgConnection, R> + 'query,
    {
        async move {
            let mut acquired = self.pool.acquire().await?;
            let query = Prepared(commented::<S, _>(query));
            let answer = async { self.bounded(query.load(acquired.connection()?)).await };
            let result = self.server.run::<S, _>(answer).await;
            settle(acquired, result)
        }
    }

    /// Runs a statement that gives at most one row.
    pub(crate) async fn row<'query, S, Q, R>(&self, query: Q) -> Result<Option<R>, StoreError>
    where
        S: Statement + Send,
        Q: QueryFragment<Pg> + Send,
        R: Send,
        Prepared<Commented<Q, S>>: LoadQuery<'query, AsyncPgConnection, R> + 'query,
    {
        Ok(self.rows::<S, Q, R>(query).await?.into_iter().next())
    }

    /// Runs a statement that gives no rows; how many it changed.
    #[expect(clippy::manual_async_fn, reason = "an async fn would not be declared Send")]
    pub(crate) fn run<'query, S, Q>(&self, query: Q) -> impl Future<Output = Result<usize, StoreError>> + Send
    where
        S: Statement + Send,
        Q: QueryFragment<Pg> + Send,
        Prepared<Commented<Q, S>>: ExecuteDsl<AsyncPgConnection> + 'query,
    {
        async move {
            let mut acquired = self.pool.acquire().await?;
            let query = Prepared(commented::<S, _>(query));
            let answer = async { self.bounded(query.execute(acquired.connection()?)).await };
            let result = self.server.run::<S, _>(answer).await;
            settle(acquired, result)
        }
    }

    async fn bounded<T>(&self, answer: impl Future<Output = QueryResult<T>>) -> QueryResult<T> {
        match tokio::time::timeout(self.patience, answer).await {
            Ok(answer) => answer,
            Err(_) => Err(no_answer(self.patience)),
        }
    }
}

impl Probe {
    /// The connection is kept only where all is well: a server that is a standby now may have a successor elsewhere.
    async fn ask(&self) -> Result<(), StoreError> {
        let mut kept = self.connection.lock().await;
        let unbroken = |mut kept: AsyncPgConnection| (!kept.is_broken()).then_some(kept);
        let mut connection = match kept.take().and_then(unbroken) {
            Some(connection) => connection,
            None => {
                let connected = self.connector.connect().await;
                connected.map_err(|error| StoreError::Unavailable(error.into()))?
            }
        };
        let question = diesel::select((
            sql::<Bool>("pg_is_in_recovery()"),
            sql::<Bool>("to_regclass('orders') IS NOT NULL"),
        ));
        match question.get_result(&mut connection).await? {
            (true, _) => Err(StoreError::NotReady("it is a standby")),
            (false, false) => Err(StoreError::NotReady("its schema is not migrated")),
            (false, true) => {
                *kept = Some(connection);
                Ok(())
            }
        }
    }
}

/// Gives the connection back, unless the error says that it is of no more use.
fn settle<T>(acquired: Acquired, result: QueryResult<T>) -> Result<T, StoreError> {
    let result = result.map_err(StoreError::from);
    if !matches!(result, Err(StoreError::Unavailable(_))) {
        acquired.give_back();
    }
    result
}

#[cfg(test)]
mod tests;

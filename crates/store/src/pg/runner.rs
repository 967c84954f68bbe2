//! Runs statements, each on a connection of the pool, inside a span, with a timeout. The futures are declared
//! `Send`, because the compiler cannot prove it through diesel's types for callers that spawn them. They are
//! boxed, because diesel's take 7 KB each, and a task would carry those of every statement that it may run.

use std::future::Future;
use std::time::Duration;

use diesel::QueryResult;
use diesel::pg::Pg;
use diesel::query_builder::QueryFragment;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::RunQueryDsl;
use diesel_async::methods::{ExecuteDsl, LoadQuery};
use telemetry::db::{Commented, Server, Statement, commented, no_response};

use crate::error::StoreError;
use crate::pg::connection::Connection;
use crate::pg::pool::{Acquired, Pool};

/// PostgreSQL ends a statement at `statement_timeout`. Without a response this much later, the server or the
/// network is unavailable.
const CLIENT_MARGIN: Duration = Duration::from_secs(1);

#[derive(Clone)]
pub(crate) struct Runner {
    pool: Pool,
    server: Server,
    response_timeout: Duration,
}

impl Runner {
    pub(crate) fn new(pool: Pool, server: Server, response_timeout: Duration) -> Self {
        Self {
            pool,
            server,
            response_timeout,
        }
    }

    pub(crate) fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Runs a statement that returns rows.
    pub(crate) fn rows<'query, S, Q, R>(
        &self,
        query: Q,
    ) -> impl Future<Output = Result<Vec<R>, StoreError>> + Send
    where
        S: Statement + Send,
        Q: QueryFragment<Pg> + Send,
        R: Send,
        Commented<Q, S>: LoadQuery<'query, Connection, R> + 'query,
    {
        Box::pin(async move {
            let mut acquired = self.pool.acquire().await?;
            let query = commented::<S, _>(query);
            let response = async { bounded(self.response_timeout, query.load(acquired.connection()?)).await };
            let result = self.server.run::<S, _>(response).await;
            finish(acquired, result)
        })
    }

    /// Runs a statement that returns at most one row.
    pub(crate) async fn row<'query, S, Q, R>(&self, query: Q) -> Result<Option<R>, StoreError>
    where
        S: Statement + Send,
        Q: QueryFragment<Pg> + Send,
        R: Send,
        Commented<Q, S>: LoadQuery<'query, Connection, R> + 'query,
    {
        Ok(self.rows::<S, Q, R>(query).await?.into_iter().next())
    }

    /// Runs a statement that returns no rows; gives the number of changed rows.
    pub(crate) fn execute<'query, S, Q>(
        &self,
        query: Q,
    ) -> impl Future<Output = Result<usize, StoreError>> + Send
    where
        S: Statement + Send,
        Q: QueryFragment<Pg> + Send,
        Commented<Q, S>: ExecuteDsl<Connection> + 'query,
    {
        Box::pin(async move {
            let mut acquired = self.pool.acquire().await?;
            let query = commented::<S, _>(query);
            let response =
                async { bounded(self.response_timeout, query.execute(acquired.connection()?)).await };
            let result = self.server.run::<S, _>(response).await;
            finish(acquired, result)
        })
    }
}

/// How long a caller waits for a statement's response.
pub(crate) fn response_timeout(statement_timeout: Duration) -> Duration {
    statement_timeout.saturating_add(CLIENT_MARGIN)
}

pub(crate) async fn bounded<T>(
    limit: Duration,
    response: impl Future<Output = QueryResult<T>>,
) -> QueryResult<T> {
    match tokio::time::timeout(limit, response).await {
        Ok(response) => response,
        Err(_) => Err(no_response(limit)),
    }
}

/// Returns the connection to the pool, unless it may be broken: then dropping it cancels what still runs.
fn finish<T>(acquired: Acquired, result: QueryResult<T>) -> Result<T, StoreError> {
    let read_only = matches!(
        result,
        Err(DieselError::DatabaseError(
            DatabaseErrorKind::ReadOnlyTransaction,
            _
        ))
    );
    let result = result.map_err(StoreError::from);
    if read_only {
        // The server became a standby; the next connection finds the new primary.
        acquired.close();
    } else if !matches!(result, Err(StoreError::Unavailable(_))) {
        acquired.give_back();
    }
    result
}

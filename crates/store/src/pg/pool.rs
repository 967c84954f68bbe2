//! The connection pool. A connection returns to the pool only after its statement has ended. A caller that is
//! dropped before closes its connection: PostgreSQL continues the statement until `statement_timeout`, and
//! the next user of the connection would read the response.

use std::sync::Arc;
use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{PoolError, TimeoutType, Timeouts};
use diesel::QueryResult;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::AsyncPgConnection;
use diesel_async::pooled_connection::deadpool::{Object, Pool as Deadpool};
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use futures_util::FutureExt;
use telemetry::db::{PoolState, observe_pool};

use crate::error::StoreError;
use crate::pg::connect::Connector;

/// The pool's name in metrics. A process has one pool.
const POOL_NAME: &str = "orders";

#[derive(Clone)]
pub(crate) struct Pool {
    connections: Deadpool<AsyncPgConnection>,
    metrics: telemetry::db::PoolMetrics,
    max_waiting: usize,
}

impl Pool {
    /// Connects at the first statement. `acquire_timeout` is also the connect timeout.
    pub(crate) fn new(
        connector: Connector,
        size: usize,
        acquire_timeout: Duration,
        max_waiting: usize,
    ) -> Result<Self, StoreError> {
        let connector = Arc::new(connector.connect_timeout(acquire_timeout));
        let mut config = ManagerConfig::default();
        // Without a query: a closed connection is known without a round trip.
        config.recycling_method = RecyclingMethod::Fast;
        config.custom_setup = Box::new(move |_| {
            let connector = connector.clone();
            async move { connector.connect().await }.boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config(String::new(), config);
        let connections = Deadpool::builder(manager)
            .max_size(size.max(1))
            .runtime(Runtime::Tokio1)
            .timeouts(Timeouts {
                wait: Some(acquire_timeout),
                // The connector has its own connect timeout.
                create: None,
                recycle: None,
            })
            .build()
            .map_err(|error| StoreError::Config(format!("the pool cannot be built: {error}")))?;
        let observed = connections.clone();
        Ok(Self {
            metrics: observe_pool(POOL_NAME, move || state(&observed)),
            connections,
            max_waiting,
        })
    }

    pub(crate) async fn acquire(&self) -> Result<Acquired, StoreError> {
        let connection = async {
            if self.connections.status().waiting >= self.max_waiting {
                return Err(PoolError::Timeout(TimeoutType::Wait));
            }
            self.connections.get().await
        };
        let is_timeout = |error: &PoolError<_>| matches!(error, PoolError::Timeout(_));
        match self.metrics.wait(connection, is_timeout).await {
            Ok(connection) => Ok(Acquired(Some(connection))),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(StoreError::Busy),
            Err(error) => Err(StoreError::Unavailable(error.into())),
        }
    }

    pub(crate) fn state(&self) -> PoolState {
        state(&self.connections)
    }
}

fn state(connections: &Deadpool<AsyncPgConnection>) -> PoolState {
    let status = connections.status();
    PoolState {
        idle: status.available,
        used: status.size.saturating_sub(status.available),
        max: status.max_size,
        pending: status.waiting,
    }
}

/// A connection in use. Dropping it closes the connection; [`Acquired::give_back`] returns it to the pool.
pub(crate) struct Acquired(Option<Object<AsyncPgConnection>>);

impl Acquired {
    pub(crate) fn connection(&mut self) -> QueryResult<&mut AsyncPgConnection> {
        self.0.as_deref_mut().ok_or_else(|| {
            let message = "the connection was given back".to_owned();
            DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, Box::new(message))
        })
    }

    /// Returns the connection to the pool. No statement may be in progress.
    pub(crate) fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Acquired {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            drop(Object::take(connection));
        }
    }
}

//! The connection pool. A connection leaves its place in the pool only when its statement has ended at the
//! server: a caller that is dropped before leaves a task that cancels the statement. So the pool's size
//! bounds the server's backends, however many callers give up.

use std::time::Duration;

use deadpool::Runtime;
use deadpool::managed::{
    Manager, Metrics, Object, Pool as Deadpool, PoolError, RecycleError, RecycleResult, TimeoutType, Timeouts,
};
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::{ConnectionError, ConnectionResult, QueryResult};
use telemetry::db::{PoolState, observe_pool};
use tokio::runtime::Handle;

use crate::error::StoreError;
use crate::pg::connect::Connector;
use crate::pg::connection::Connection;

#[derive(Clone)]
pub(crate) struct Pool {
    connections: Deadpool<Connector>,
    metrics: telemetry::db::PoolMetrics,
    max_waiting: usize,
    runtime: Handle,
}

impl Pool {
    /// Connects at the first statement. `name` is the pool's in metrics. `acquire_timeout` is also the
    /// connect timeout.
    pub(crate) fn new(
        name: &str,
        connector: Connector,
        size: usize,
        acquire_timeout: Duration,
        max_waiting: usize,
    ) -> Result<Self, StoreError> {
        let runtime = connector.runtime().clone();
        let connections = Deadpool::builder(connector.connect_timeout(acquire_timeout))
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
            metrics: observe_pool(name, move || state(&observed)),
            connections,
            max_waiting,
            runtime,
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
            Ok(connection) => Ok(Acquired {
                connection: Some(connection),
                runtime: self.runtime.clone(),
            }),
            Err(PoolError::Timeout(TimeoutType::Wait)) => Err(StoreError::Busy),
            Err(error) => Err(StoreError::unavailable(error)),
        }
    }

    pub(crate) fn state(&self) -> PoolState {
        state(&self.connections)
    }

    /// Counts a call that waited too long for a statement outside the pool.
    pub(crate) fn count_timeout(&self) {
        self.metrics.count_timeout();
    }
}

impl Manager for Connector {
    type Type = Connection;
    type Error = ConnectionError;

    async fn create(&self) -> ConnectionResult<Connection> {
        self.connect().await
    }

    /// Without a query: a closed connection is known without a round trip.
    async fn recycle(&self, connection: &mut Connection, _: &Metrics) -> RecycleResult<ConnectionError> {
        if connection.is_closed() {
            return Err(RecycleError::message("the connection is closed"));
        }
        Ok(())
    }
}

fn state(connections: &Deadpool<Connector>) -> PoolState {
    let status = connections.status();
    PoolState {
        idle: status.available,
        used: status.size.saturating_sub(status.available),
        max: status.max_size,
        pending: status.waiting,
    }
}

/// A connection in use. [`Acquired::give_back`] returns it to the pool. Dropping it cancels its statement
/// first; a connection whose statement does not end in time is closed.
pub(crate) struct Acquired {
    connection: Option<Object<Connector>>,
    runtime: Handle,
}

impl Acquired {
    pub(crate) fn connection(&mut self) -> QueryResult<&mut Connection> {
        self.connection.as_deref_mut().ok_or_else(|| {
            let message = "the connection was given back".to_owned();
            DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, Box::new(message))
        })
    }

    /// Returns the connection to the pool. No statement may be in progress.
    pub(crate) fn give_back(mut self) {
        drop(self.connection.take());
    }

    /// Closes the connection. No statement may be in progress.
    pub(crate) fn close(mut self) {
        drop(self.connection.take().map(Object::take));
    }
}

impl Drop for Acquired {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        self.runtime.spawn(async move {
            if !connection.cancel().await {
                drop(Object::take(connection));
            }
        });
    }
}

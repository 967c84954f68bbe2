//! The connections. One that was given out comes back only after its statement has ended: a request that is dropped half-way drops
//! its connection too, because PostgreSQL goes on with the statement, up to its time-out, and its answer would meet the next caller.

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

use crate::StoreError;
use crate::connect::Connector;

/// What the pool is called in its metrics: a process has one.
const NAME: &str = "orders";

/// Connections in use and waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolStatus {
    /// How many there are.
    pub size: usize,
    /// How many of them are free.
    pub available: usize,
    /// How many callers wait for one.
    pub waiting: usize,
    /// How many there can be.
    pub max: usize,
}

#[derive(Clone)]
pub(crate) struct Pool {
    connections: Deadpool<AsyncPgConnection>,
    metrics: telemetry::db::Pool,
    max_waiting: usize,
}

impl Pool {
    /// Makes no connection yet.
    pub(crate) fn new(
        connector: Connector,
        size: usize,
        acquire_timeout: Duration,
        max_waiting: usize,
    ) -> Result<Self, StoreError> {
        let connector = Arc::new(connector.connect_timeout(acquire_timeout));
        let mut config = ManagerConfig::default();
        // No query: whether a connection is closed is known without asking the server.
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
                // The connector gives up by itself.
                create: None,
                recycle: None,
            })
            .build()
            .map_err(|error| StoreError::Config(format!("the pool cannot be built: {error}")))?;
        let observed = connections.clone();
        Ok(Self {
            metrics: observe_pool(NAME, move || status(&observed).into()),
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
        match self.metrics.wait(connection, is_timeout).await {
            Ok(connection) => Ok(Acquired(Some(connection))),
            Err(error) if is_busy(&error) => Err(StoreError::Busy),
            Err(error) => Err(StoreError::Unavailable(error.into())),
        }
    }

    pub(crate) fn status(&self) -> PoolStatus {
        status(&self.connections)
    }
}

fn status(connections: &Deadpool<AsyncPgConnection>) -> PoolStatus {
    let status = connections.status();
    PoolStatus {
        size: status.size,
        available: status.available,
        waiting: status.waiting,
        max: status.max_size,
    }
}

/// Whether all connections were busy for too long, or a new one took too long to make.
fn is_timeout<E>(error: &PoolError<E>) -> bool {
    matches!(error, PoolError::Timeout(_))
}

fn is_busy<E>(error: &PoolError<E>) -> bool {
    matches!(error, PoolError::Timeout(TimeoutType::Wait))
}

impl From<PoolStatus> for PoolState {
    fn from(status: PoolStatus) -> Self {
        Self {
            idle: status.available,
            used: status.size.saturating_sub(status.available),
            max: status.max,
            pending: status.waiting,
        }
    }
}

/// A connection in use. Dropping it closes the connection; [`Acquired::give_back`] keeps it for the next caller.
pub(crate) struct Acquired(Option<Object<AsyncPgConnection>>);

impl Acquired {
    pub(crate) fn connection(&mut self) -> QueryResult<&mut AsyncPgConnection> {
        self.0.as_deref_mut().ok_or_else(|| {
            let message = "the connection was given back".to_owned();
            DieselError::DatabaseError(DatabaseErrorKind::ClosedConnection, Box::new(message))
        })
    }

    /// For when no statement is under way.
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

//! The [`Store`]. Its statements are in the modules beside this one.

use diesel::pg::Pg;
use diesel::query_builder::QueryFragment;
use diesel_async::AsyncPgConnection;
use diesel_async::methods::LoadQuery;
use domain::Order;
use telemetry::db::{Commented, PoolState, Statement};

use crate::config::StoreConfig;
use crate::error::StoreError;
use crate::migrate::newest_version;
use crate::pg::connect::Connector;
use crate::pg::pool::Pool;
use crate::pg::probe::{Probe, Schema};
use crate::pg::runner::{Prepared, Runner};
use crate::row::OrderRow;

/// The orders. Cheap to clone; all clones share one pool.
#[derive(Clone)]
pub struct Store {
    pub(crate) pg: Runner,
    probe: Probe,
}

impl Store {
    /// Makes the pool; it connects at the first statement. Must be called inside the tokio runtime that
    /// drives the connections.
    ///
    /// # Errors
    /// [`StoreError::Config`] if the URL is malformed, its certificates cannot be read, or the statement
    /// timeout is shorter than a millisecond.
    pub fn new(config: StoreConfig) -> Result<Self, StoreError> {
        if config.statement_timeout.as_millis() == 0 {
            let error = "the statement timeout is at least a millisecond";
            return Err(StoreError::Config(error.to_owned()));
        }
        let connector = Connector::new(&config.database_url)?
            .application_name(config.application_name)
            .statement_timeout(config.statement_timeout);
        let server = connector.server(config.slow_query_threshold);
        let probe = Probe::new(connector.clone(), newest_version()?);
        let pool = Pool::new(
            connector,
            config.pool_size,
            config.acquire_timeout,
            config.max_waiting,
        )?;
        Ok(Self {
            pg: Runner::new(pool, server, config.statement_timeout),
            probe,
        })
    }

    /// The readiness check: PostgreSQL responds, accepts writes, and has the schema of this version. It has
    /// its own connection, so a busy pool does not make it fail. It makes no span.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] without a response within a second, [`StoreError::NotReady`] if PostgreSQL
    /// cannot serve.
    pub async fn ping(&self) -> Result<(), StoreError> {
        match self.schema().await? {
            Schema::Current => Ok(()),
            Schema::Outdated => Err(StoreError::NotReady("its schema is outdated")),
            Schema::Missing => Err(StoreError::NotReady("its schema is not migrated")),
        }
    }

    /// As [`Store::ping`], and tells whether the database has every migration of this version.
    ///
    /// # Errors
    /// As [`Store::ping`].
    pub async fn schema(&self) -> Result<Schema, StoreError> {
        self.probe.schema().await
    }

    /// The pool's connections and waiting callers at this moment.
    pub fn pool_state(&self) -> PoolState {
        self.pg.pool_state()
    }

    /// Runs a statement that returns at most one order.
    pub(crate) async fn order<'query, S, Q>(&self, query: Q) -> Result<Option<Order>, StoreError>
    where
        S: Statement + Send,
        Q: QueryFragment<Pg> + Send,
        Prepared<Commented<Q, S>>: LoadQuery<'query, AsyncPgConnection, OrderRow> + 'query,
    {
        let row: Option<OrderRow> = self.pg.row::<S, _, _>(query).await?;
        Ok(row.map(Order::try_from).transpose()?)
    }
}

#[cfg(test)]
mod tests;

//! The [`Store`]. Its statements are in the modules beside this one.

use std::sync::Arc;

use diesel::pg::Pg;
use diesel::query_builder::QueryFragment;
use diesel_async::methods::LoadQuery;
use domain::Order;
use settings::ExposeSecret;
use telemetry::db::{Commented, Outcome, PoolState, Statement};

use crate::batches::AllCalls;
use crate::batches::update::{Each, OrderUpdate, UpdateOf, Updated, update_one};
use crate::config::{StoreConfig, WAITING_PER_CONNECTION};
use crate::error::StoreError;
use crate::migrate::newest_version;
use crate::pg::connect::Connector;
use crate::pg::connection::Connection;
use crate::pg::lane::{BatchStatement, Batched, Calls, Lanes, not_sent};
use crate::pg::pool::Pool;
use crate::pg::probe::{Probe, Schema};
use crate::pg::runner::{Runner, response_timeout};
use crate::row::OrderRow;

/// The orders. Cheap to clone; all clones share their pools, and the lanes of the thread that they come from.
#[derive(Clone)]
pub struct Store {
    pub(crate) pg: Runner,
    /// For reads that may be slow. Its connections are few, and not those that orders are taken with.
    pub(crate) reporting: Runner,
    pub(crate) calls: AllCalls,
    lanes: Lanes,
    probe: Probe,
}

impl Store {
    /// Makes the pools; they connect at the first statement. Must be called inside the tokio runtime that
    /// drives the connections.
    ///
    /// # Errors
    /// [`StoreError::Config`] if the URL is malformed, its certificates cannot be read, or a statement
    /// timeout is shorter than a millisecond.
    pub fn new(config: StoreConfig) -> Result<Self, StoreError> {
        if config.statement_timeout.min(config.reporting_timeout).as_millis() == 0 {
            let error = "the statement timeout is at least a millisecond";
            return Err(StoreError::Config(error.to_owned()));
        }
        let connector =
            Connector::new(config.database_url.expose_secret())?.application_name(config.application_name);
        let server = connector.server(config.slow_query_threshold);
        let runner = |name, size, max_waiting, timeout| {
            let connector = connector.clone().statement_timeout(timeout);
            let pool = Pool::new(name, connector, size, config.acquire_timeout, max_waiting)?;
            Ok::<_, StoreError>(Runner::new(pool, server.clone(), response_timeout(timeout)))
        };
        let (size, reporting_size) = (config.pool_size, config.reporting_pool_size);
        let max_waiting = reporting_size.saturating_mul(WAITING_PER_CONNECTION);
        let lanes = Lanes {
            connector: connector
                .clone()
                .statement_timeout(config.statement_timeout)
                .for_lanes(config.acquire_timeout),
            server: server.clone(),
            response_timeout: response_timeout(config.statement_timeout),
            acquire_timeout: config.acquire_timeout,
        };
        Ok(Self {
            calls: AllCalls::start(&lanes),
            lanes,
            pg: runner("orders", size, config.max_waiting, config.statement_timeout)?,
            reporting: runner("reporting", reporting_size, max_waiting, config.reporting_timeout)?,
            probe: Probe::new(connector, newest_version()?),
        })
    }

    /// This store with lanes on the calling thread's runtime, which end with the last clone of what this
    /// returns. For an HTTP server, whose threads each have a runtime.
    #[must_use]
    pub fn on_this_thread(&self) -> Self {
        Self {
            calls: AllCalls::start(&self.lanes),
            ..self.clone()
        }
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
        Ok(self.probe.schema().await?.0)
    }

    /// As [`Store::schema`], and tells whether the queue is paused.
    ///
    /// # Errors
    /// As [`Store::ping`].
    pub async fn readiness(&self) -> Result<(Schema, bool), StoreError> {
        self.probe.schema().await
    }

    /// The connections and waiting callers of the pool for orders at this moment.
    pub fn pool_state(&self) -> PoolState {
        self.pg.pool().state()
    }

    /// Runs a statement that also carries other calls, if there are any.
    pub(crate) async fn batched<B: BatchStatement>(
        &self,
        calls: &Calls<B>,
        item: B::Item,
    ) -> Result<B::Output, StoreError> {
        let span = self.lanes.server.shared_span::<B::Statement>();
        match calls.call(item).await {
            Ok(Batched { size, result }) => {
                let error = result.as_ref().err().and_then(StoreError::of_statement);
                span.end(Outcome::new(size, error));
                result
            }
            Err(error) => {
                let not_sent = not_sent(error);
                span.end(Outcome::new(1, Some(&not_sent)));
                match error {
                    batch::Error::Busy => {
                        self.pg.pool().count_timeout();
                        Err(StoreError::Busy)
                    }
                    batch::Error::Lost => Err(not_sent.into()),
                }
            }
        }
    }

    /// Updates an order in a statement with others, if there are any; alone if that leaves the order out.
    /// `None` if its condition does not hold.
    pub(crate) async fn update<U: OrderUpdate>(
        &self,
        calls: &Calls<Each<U>>,
        update: U,
    ) -> Result<Option<U::Row>, StoreError>
    where
        for<'a> Commented<UpdateOf<'a, U>, U::Statement>: LoadQuery<'a, Connection, Updated<U>>,
        for<'a> Commented<UpdateOf<'a, U>, U::Alone>: LoadQuery<'a, Connection, Updated<U>>,
    {
        let update = Arc::new(update);
        match self.batched::<Each<U>>(calls, Arc::clone(&update)).await? {
            Some(row) => Ok(Some(row)),
            None => self.update_alone(&*update).await,
        }
    }

    /// Updates one order, and waits for the lock of its row.
    pub(crate) async fn update_alone<U: OrderUpdate>(&self, update: &U) -> Result<Option<U::Row>, StoreError>
    where
        for<'a> Commented<UpdateOf<'a, U>, U::Alone>: LoadQuery<'a, Connection, Updated<U>>,
    {
        let updated: Option<Updated<U>> = self.pg.row::<U::Alone, _, _>(update_one(update)).await?;
        Ok(updated.map(|(_token, row)| row))
    }

    /// Runs a statement that returns at most one order.
    pub(crate) async fn order<'query, S, Q>(&self, query: Q) -> Result<Option<Order>, StoreError>
    where
        S: Statement + Send,
        Q: QueryFragment<Pg> + Send,
        Commented<Q, S>: LoadQuery<'query, Connection, OrderRow> + 'query,
    {
        let row: Option<OrderRow> = self.pg.row::<S, _, _>(query).await?;
        Ok(row.map(Order::try_from).transpose()?)
    }
}

#[cfg(test)]
mod tests;

//! Statements that carry many calls. Each such statement has a lane: a connection and a queue of calls. A
//! call that finds the lane idle runs alone at once; calls that arrive meanwhile share the next statement.

use std::future::Future;
use std::marker::PhantomData;
use std::time::Duration;

use batch::{Batcher, Lane, Limits};
use diesel::pg::Pg;
use diesel::query_builder::QueryFragment;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel_async::RunQueryDsl;
use diesel_async::methods::LoadQuery;
use telemetry::db::{Commented, Server, Statement, commented};

use crate::error::StoreError;
use crate::pg::connect::Connector;
use crate::pg::connection::Connection;
use crate::pg::runner::bounded;

/// Calls of one statement. With 16 a statement, PostgreSQL writes four times as many orders a second as with
/// one; with more than 64, hardly more.
const BATCH_SIZE: usize = 64;

/// Calls that may wait in one lane, beyond which they fail at once: eight full statements.
const MAX_WAITING: usize = 8 * BATCH_SIZE;

/// A statement for any number of calls.
pub(crate) trait BatchStatement: Send + 'static {
    /// How it appears in telemetry.
    type Statement: Statement + Send;
    /// A call's parameters.
    type Item: Send + Sync + 'static;
    /// A call's result.
    type Output: Send + 'static;

    /// Whether a call waits until its commit is on disk.
    const IS_DURABLE: bool = true;

    /// Runs one statement for these calls, at least one; the outputs are in their order.
    fn run(
        connection: &mut LaneConnection,
        items: &[Self::Item],
    ) -> impl Future<Output = Result<Vec<Self::Output>, StoreError>> + Send;
}

/// The result of one call, and how many calls its statement carried.
#[derive(Debug)]
pub(crate) struct Batched<T> {
    pub(crate) size: usize,
    pub(crate) result: Result<T, StoreError>,
}

/// The queue of a lane.
pub(crate) type Calls<B> = Batcher<<B as BatchStatement>::Item, Batched<<B as BatchStatement>::Output>>;

/// Makes the lanes of a store.
#[derive(Clone)]
pub(crate) struct Lanes {
    pub(crate) connector: Connector,
    pub(crate) server: Server,
    pub(crate) response_timeout: Duration,
    /// How long a call may wait for its statement to begin.
    pub(crate) acquire_timeout: Duration,
}

impl Lanes {
    /// Starts a lane on the current runtime, which also drives its connection: an HTTP server has one runtime
    /// per thread, and a statement that stays on its thread costs no wake-up of another one. It connects at
    /// its first statement.
    pub(crate) fn start<B: BatchStatement>(&self) -> Calls<B> {
        let lane = StatementLane::<B> {
            connection: self.connection(B::IS_DURABLE),
            statement: PhantomData,
        };
        let limits = Limits {
            batch_size: BATCH_SIZE,
            waiting: MAX_WAITING,
            stall_timeout: self.acquire_timeout,
        };
        Batcher::start([lane], limits)
    }

    /// A connection of the current runtime. It connects at its first statement.
    pub(crate) fn connection(&self, is_durable: bool) -> LaneConnection {
        let connector = self.connector.clone().on_current_runtime();
        LaneConnection {
            connector: if is_durable {
                connector
            } else {
                connector.option("synchronous_commit=off")
            },
            server: self.server.clone(),
            response_timeout: self.response_timeout,
            connection: None,
        }
    }
}

/// The connection of a lane. It is replaced after an error that leaves its state unknown.
pub(crate) struct LaneConnection {
    connector: Connector,
    server: Server,
    response_timeout: Duration,
    connection: Option<Connection>,
}

impl LaneConnection {
    /// Runs a statement. Its spans are those of the calls that it carries.
    #[expect(clippy::manual_async_fn, reason = "an async fn would not be declared Send")]
    pub(crate) fn rows<'query, S, Q, R>(
        &mut self,
        query: Q,
    ) -> impl Future<Output = Result<Vec<R>, StoreError>> + Send
    where
        S: Statement + Send,
        Q: QueryFragment<Pg> + Send,
        R: Send,
        Commented<Q, S>: LoadQuery<'query, Connection, R> + 'query,
    {
        async move {
            let idle = self
                .connection
                .take()
                .filter(|connection| !connection.is_closed());
            let mut connection = match idle {
                Some(connection) => connection,
                None => {
                    let connecting = self.connector.connect().await;
                    connecting.map_err(not_sent)?
                }
            };
            let query = commented::<S, _>(query);
            let response = bounded(self.response_timeout, query.load(&mut connection));
            let result = self.server.run_shared::<S, _>(response).await;
            let result = result.map_err(StoreError::from);
            if matches!(result, Err(StoreError::Unavailable(_))) {
                // Its statement may still run. Another connection must not come beside it: while PostgreSQL
                // hangs, each statement would add one.
                connection.cancel().await;
            } else {
                self.connection = Some(connection);
            }
            result
        }
    }
}

/// The error of a call whose statement was not sent.
pub(crate) fn not_sent(why: impl std::fmt::Display) -> DieselError {
    DieselError::DatabaseError(DatabaseErrorKind::UnableToSendCommand, Box::new(why.to_string()))
}

struct StatementLane<B> {
    connection: LaneConnection,
    statement: PhantomData<fn() -> B>,
}

impl<B: BatchStatement> Lane for StatementLane<B> {
    type Item = B::Item;
    type Output = Batched<B::Output>;

    async fn run(&mut self, items: Vec<B::Item>) -> Vec<Batched<B::Output>> {
        let size = items.len();
        let of_size = |size| move |result| Batched { size, result };
        match B::run(&mut self.connection, &items).await {
            Ok(outputs) => outputs.into_iter().map(Ok).map(of_size(size)).collect(),
            // Some call is invalid, and the statement had no effect: each runs alone, and that one fails
            // alone.
            Err(StoreError::Query(_)) if size > 1 => {
                let mut outputs = Vec::with_capacity(size);
                for item in items.chunks(1) {
                    let alone = B::run(&mut self.connection, item).await;
                    let output =
                        alone.and_then(|outputs| outputs.into_iter().next().ok_or_else(StoreError::no_row));
                    outputs.push(Batched {
                        size: 1,
                        result: output,
                    });
                }
                outputs
            }
            Err(error) => items
                .iter()
                .map(|_| Err(error.clone()))
                .map(of_size(size))
                .collect(),
        }
    }
}

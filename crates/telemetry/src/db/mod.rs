//! Statements of diesel and diesel-async: a CLIENT span and a duration each, with the statement's static text and never a bind
//! value. A statement is described once, by a type; its SQL comment is part of that type, so it stays a prepared statement.
//!
//! ```
//! use diesel::prelude::*;
//! use throughline_telemetry::{db, statement};
//!
//! diesel::table! { parcels (id) { id -> BigInt, weight -> BigInt, } }
//!
//! statement! {
//!     /// The parcels that a van can still take.
//!     LightParcels: "SELECT" "parcels", action "load_van", framework "apalis";
//! }
//!
//! let query = db::commented::<LightParcels, _>(parcels::table.filter(parcels::weight.lt(10)).select(parcels::id));
//! assert!(diesel::debug_query::<diesel::pg::Pg, _>(&query).to_string().contains("action='load_van'"));
//! // then: server.run::<LightParcels, _>(query.load::<i64>(&mut connection)).await
//! ```
//!
//! A statement that runs outside a trace has its duration measured and makes no span: a trace does not begin with a statement.

mod error;
mod pool;
mod statement;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use diesel::result::QueryResult;
use opentelemetry::trace::{FutureExt, SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue};

use crate::instruments::instruments;
use crate::names;
use crate::operation::Operation;
#[cfg(feature = "actix")]
use crate::repeats;

pub use error::no_answer;
pub use pool::{Pool, PoolState, observe_pool};
pub use statement::{Commented, Statement, commented};

/// The PostgreSQL server that statements go to, as their spans name it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Server {
    attributes: Arc<[KeyValue]>,
    slow: Duration,
}

impl Server {
    /// A server by its host, port and database; statements that take longer than `slow` are marked `db.query.slow`.
    pub fn new(host: &str, port: u16, database: &str, slow: Duration) -> Self {
        let attributes = [
            KeyValue::new(names::DB_SYSTEM_NAME, names::POSTGRESQL),
            KeyValue::new(names::DB_NAMESPACE, Arc::<str>::from(database)),
            KeyValue::new(names::SERVER_ADDRESS, Arc::<str>::from(host)),
            KeyValue::new(names::SERVER_PORT, i64::from(port)),
        ];
        Self {
            attributes: attributes.into(),
            slow,
        }
    }

    /// Runs a statement inside its span.
    ///
    /// # Errors
    /// The statement's own.
    pub async fn run<S: Statement, T>(
        &self,
        statement: impl Future<Output = QueryResult<T>>,
    ) -> QueryResult<T> {
        self.run_batch::<S, T>(1, statement).await
    }

    /// Runs a statement that stands for `size` operations; the span says so from 2 on.
    ///
    /// # Errors
    /// The statement's own.
    pub async fn run_batch<S: Statement, T>(
        &self,
        size: usize,
        statement: impl Future<Output = QueryResult<T>>,
    ) -> QueryResult<T> {
        let mut operation = self.start::<S>(size);
        let context = operation.context().clone();
        let result = statement.with_context(context).await;

        if operation.elapsed() > self.slow {
            operation.describe(|| [KeyValue::new(names::DB_QUERY_SLOW, true)]);
        }
        let error = result.as_ref().err().and_then(error::error_type);
        if let Some(state) = result.as_ref().err().and_then(error::sqlstate) {
            operation.describe_both(KeyValue::new(names::DB_RESPONSE_STATUS_CODE, state));
        }
        operation.end(error);
        result
    }

    fn start<S: Statement>(&self, size: usize) -> Operation {
        let parent = Context::current();
        #[cfg(feature = "actix")]
        repeats::note::<S>(&parent);
        let span = SpanBuilder::from_name(S::SUMMARY).with_kind(SpanKind::Client);
        let measures = &instruments().database;
        let operation = Operation::start(span, &parent, measures, || self.common::<S>());
        operation.describe(|| {
            let text = S::text().get().map(String::as_str);
            let batch = (size > 1).then(|| i64::try_from(size).unwrap_or(i64::MAX));
            self.common::<S>()
                .chain([KeyValue::new(names::DB_QUERY_SUMMARY, S::SUMMARY)])
                .chain(text.map(|text| KeyValue::new(names::DB_QUERY_TEXT, text)))
                .chain(batch.map(|size| KeyValue::new(names::DB_OPERATION_BATCH_SIZE, size)))
        });
        operation
    }

    /// What the span and the metric both say.
    fn common<S: Statement>(&self) -> impl Iterator<Item = KeyValue> {
        self.attributes.iter().cloned().chain([
            KeyValue::new(names::DB_OPERATION_NAME, S::OPERATION),
            KeyValue::new(names::DB_COLLECTION_NAME, S::COLLECTION),
        ])
    }
}

//! Runs statements inside their spans.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use diesel::result::QueryResult;
use opentelemetry::trace::{FutureExt, SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue};

use super::error;
#[cfg(feature = "actix")]
use super::repeats;
use super::statement::Statement;
use crate::instruments::instruments;
use crate::names;
use crate::operation::Operation;

/// The PostgreSQL server as its statements' spans name it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Server {
    attributes: Arc<[KeyValue]>,
    slow: Duration,
}

impl Server {
    /// A server by host, port and database. A statement that takes longer than `slow` is `db.query.slow`.
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

    /// Runs a statement for `size` operations, which is `db.operation.batch.size` from 2 on.
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
            operation.set_attributes(|| [KeyValue::new(names::DB_QUERY_SLOW, true)]);
        }
        let error = result.as_ref().err().and_then(error::error_type);
        if let Some(state) = result.as_ref().err().and_then(error::sqlstate) {
            operation.set_shared_attribute(KeyValue::new(names::DB_RESPONSE_STATUS_CODE, state));
        }
        operation.end(error);
        result
    }

    fn start<S: Statement>(&self, size: usize) -> Operation {
        let parent = Context::current();
        #[cfg(feature = "actix")]
        repeats::count::<S>(&parent);
        let span = SpanBuilder::from_name(S::SUMMARY).with_kind(SpanKind::Client);
        let measures = &instruments().database;
        let operation = Operation::start(span, &parent, measures, || self.common::<S>());
        operation.set_attributes(|| {
            let text = S::text().get().map(String::as_str);
            let batch = (size > 1).then(|| i64::try_from(size).unwrap_or(i64::MAX));
            self.common::<S>()
                .chain([KeyValue::new(names::DB_QUERY_SUMMARY, S::SUMMARY)])
                .chain(text.map(|text| KeyValue::new(names::DB_QUERY_TEXT, text)))
                .chain(batch.map(|size| KeyValue::new(names::DB_OPERATION_BATCH_SIZE, size)))
        });
        operation
    }

    /// The attributes of both the span and the metric.
    fn common<S: Statement>(&self) -> impl Iterator<Item = KeyValue> {
        self.attributes.iter().cloned().chain([
            KeyValue::new(names::DB_OPERATION_NAME, S::OPERATION),
            KeyValue::new(names::DB_COLLECTION_NAME, S::COLLECTION),
        ])
    }
}

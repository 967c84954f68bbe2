//! Runs statements inside their spans.

use std::borrow::Cow;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use diesel::result::{Error, QueryResult};
use opentelemetry::trace::{FutureExt, SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue};

use super::error;
#[cfg(feature = "actix")]
use super::repeats;
use super::statement::Statement;
use crate::instruments::instruments;
use crate::measures::{Series, SeriesByKey};
use crate::names;
use crate::operation::Operation;

/// The PostgreSQL server as its statements' spans name it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Server {
    attributes: Arc<[KeyValue]>,
    /// By the address of the statement's text.
    series: Arc<SeriesByKey<usize>>,
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
            series: Arc::default(),
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
        let span = self.start::<S>(self.series::<S>());
        let result = statement.with_context(span.context().clone()).await;
        span.end(Outcome::new(size, result.as_ref().err()));
        result
    }

    /// Starts the span of a caller that waits for a statement which carries several callers' operations, as a
    /// child of the current span. [`run_shared`](Self::run_shared) runs the statement.
    pub fn shared_span<S: Statement>(&self) -> SharedSpan {
        self.start::<S>(None)
    }

    /// Runs a statement for several callers, each of which has a [`SharedSpan`]. It is measured once, and
    /// makes no span. The result's [`Outcome`] ends the callers' spans.
    ///
    /// # Errors
    /// The statement's own.
    pub async fn run_shared<S: Statement, T>(
        &self,
        statement: impl Future<Output = QueryResult<T>>,
    ) -> QueryResult<T> {
        let mut operation = Operation::without_span(self.series::<S>());
        let result = statement.with_context(operation.context().clone()).await;
        let outcome = Outcome::new(1, result.as_ref().err());
        outcome.record(&mut operation);
        operation.end(outcome.error_type.map(Cow::Borrowed));
        result
    }

    fn series<S: Statement>(&self) -> Option<Arc<Series>> {
        let key = std::ptr::from_ref(S::text()).addr();
        let attributes = || self.common::<S>();
        self.series.get(key, &instruments().database, attributes)
    }

    fn start<S: Statement>(&self, series: Option<Arc<Series>>) -> SharedSpan {
        let parent = Context::current();
        #[cfg(feature = "actix")]
        repeats::count::<S>(&parent);
        let span = SpanBuilder::from_name(S::SUMMARY).with_kind(SpanKind::Client);
        let text = S::text().get().copied();
        let operation = Operation::start(span, &parent, series, || {
            self.common::<S>()
                .chain([KeyValue::new(names::DB_QUERY_SUMMARY, S::SUMMARY)])
                .chain(text.map(query_text))
        });
        SharedSpan {
            operation,
            late_text: text.is_none().then(S::text),
            slow: self.slow,
        }
    }

    /// The attributes of both the span and the metric.
    fn common<S: Statement>(&self) -> impl Iterator<Item = KeyValue> {
        self.attributes.iter().cloned().chain([
            KeyValue::new(names::DB_OPERATION_NAME, S::OPERATION),
            KeyValue::new(names::DB_COLLECTION_NAME, S::COLLECTION),
        ])
    }
}

/// The span of one caller's part of a statement, from when the caller began to wait. Dropped before
/// [`end`](Self::end), it ends as cancelled.
#[derive(Debug)]
#[must_use = "dropped, it ends as cancelled"]
pub struct SharedSpan {
    operation: Operation,
    /// The statement's text, if the span started before the first run, which creates it.
    late_text: Option<&'static OnceLock<&'static str>>,
    slow: Duration,
}

impl SharedSpan {
    /// The context of the span.
    pub fn context(&self) -> &Context {
        self.operation.context()
    }

    /// Ends the span with the statement's outcome, or with that of the caller's own row.
    pub fn end(mut self, outcome: Outcome) {
        let operation = &mut self.operation;
        let is_slow = operation.elapsed() > self.slow;
        let text = self.late_text.and_then(OnceLock::get).copied();
        operation.set_attributes(|| {
            let batch = (outcome.size > 1).then(|| i64::try_from(outcome.size).unwrap_or(i64::MAX));
            let text = text.map(query_text);
            let batch = batch.map(|size| KeyValue::new(names::DB_OPERATION_BATCH_SIZE, size));
            let slow = is_slow.then(|| KeyValue::new(names::DB_QUERY_SLOW, true));
            text.into_iter().chain(batch).chain(slow)
        });
        outcome.record(operation);
        self.operation.end(outcome.error_type.map(Cow::Borrowed));
    }
}

fn query_text(text: &'static str) -> KeyValue {
    KeyValue::new(names::DB_QUERY_TEXT, text)
}

/// How a statement ended, as the spans and metrics show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    size: usize,
    error_type: Option<&'static str>,
    /// Five ASCII characters.
    sqlstate: Option<[u8; 5]>,
}

impl Outcome {
    /// The outcome of a statement that carried `size` operations.
    pub fn new(size: usize, error: Option<&Error>) -> Self {
        Self {
            size,
            error_type: error.and_then(error::error_type),
            sqlstate: error
                .and_then(error::sqlstate)
                .and_then(|state| state.as_bytes().try_into().ok()),
        }
    }

    fn record(self, operation: &mut Operation) {
        if let Some(Ok(state)) = self.sqlstate.as_ref().map(|state| str::from_utf8(state)) {
            operation.set_shared_attribute(KeyValue::new(names::DB_RESPONSE_STATUS_CODE, state.to_owned()));
        }
    }
}

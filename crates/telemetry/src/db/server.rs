//! Runs statements inside their spans.

use std::borrow::Cow;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use diesel::result::{Error, QueryResult};
use opentelemetry::trace::{FutureExt, SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue};

use super::address::{Address, System};
use super::description::Description;
use super::error;
use super::refined::refined;
#[cfg(feature = "actix")]
use super::repeats;
use super::statement::Statement;
use crate::instruments::instruments;
use crate::measures::{Series, SeriesByKey};
use crate::names;
use crate::operation::{Operation, Started};

/// The database server as its statements' spans name it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Server {
    pub(super) system: System,
    attributes: Arc<[KeyValue]>,
    /// By the address of the statement's text, or of its summary.
    series: Arc<SeriesByKey<usize>>,
    pub(super) slow: Duration,
}

impl Server {
    /// A PostgreSQL server by host, port and database. A statement that takes longer than `slow` is
    /// `db.query.slow`.
    pub fn new(host: &str, port: u16, database: &str, slow: Duration) -> Self {
        let attributes = [
            KeyValue::new(names::DB_SYSTEM_NAME, names::POSTGRESQL),
            KeyValue::new(names::DB_NAMESPACE, Arc::<str>::from(database)),
            KeyValue::new(names::SERVER_ADDRESS, Arc::<str>::from(host)),
            KeyValue::new(names::SERVER_PORT, i64::from(port)),
        ];
        Self::of(System::PostgreSql, attributes.into(), slow)
    }

    /// A server of PostgreSQL or MySQL by the URL of a connection, or a database of SQLite by its file. What
    /// the URL does not name has no attribute. Users and passwords are not read.
    pub fn from_url(url: &str, slow: Duration) -> Self {
        let address = Address::of_url(url);
        Self::of(address.system, address.attributes().into(), slow)
    }

    fn of(system: System, attributes: Arc<[KeyValue]>, slow: Duration) -> Self {
        Self {
            system,
            attributes,
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
        let result = statement.with_context(refined(span.context())).await;
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
        let result = statement.with_context(refined(operation.context())).await;
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
        repeats::count(&parent, S::COMMENT, S::SUMMARY, || S::text().get().copied());
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

    /// Starts the span of a statement that started earlier, and that is known by its text alone.
    pub(super) fn start_described(
        &self,
        description: &Description,
        parent: &Context,
        started: Started,
    ) -> SharedSpan {
        let Description { summary, text } = description;
        let common = || self.attributes.iter().cloned().chain(summary.attributes());
        let key = std::ptr::from_ref(summary.name).addr();
        let series = self.series.get(key, &instruments().database, common);
        let span = SpanBuilder::from_name(summary.name).with_kind(SpanKind::Client);
        let operation = Operation::start_at(started, span, parent, series, || {
            common().chain([
                KeyValue::new(names::DB_QUERY_SUMMARY, summary.name),
                KeyValue::new(names::DB_QUERY_TEXT, text.clone()),
            ])
        });
        SharedSpan {
            operation,
            late_text: None,
            slow: self.slow,
        }
    }

    /// The name that the conventions give a pool without one: `host:port/database`.
    pub(super) fn pool_name(&self) -> String {
        let parts = [names::SERVER_ADDRESS, names::SERVER_PORT].map(|name| self.attribute(name));
        let host = parts.into_iter().flatten().collect::<Vec<_>>().join(":");
        match self.attribute(names::DB_NAMESPACE) {
            Some(database) if host.is_empty() => database,
            Some(database) => format!("{host}/{database}"),
            None => host,
        }
    }

    fn attribute(&self, name: &str) -> Option<String> {
        let mut attributes = self.attributes.iter();
        let attribute = attributes.find(|it| it.key.as_str() == name)?;
        Some(attribute.value.as_str().into_owned())
    }

    /// Starts the span of a new connection.
    pub(super) fn connect(&self) -> Operation {
        let pool = KeyValue::new(names::DB_CLIENT_CONNECTION_POOL_NAME, self.pool_name());
        let series = Series::new(&instruments().connect, [pool]);
        let database = self.attribute(names::DB_NAMESPACE);
        let name = database.map_or_else(|| CONNECT.to_owned(), |it| format!("{CONNECT} {it}"));
        let span = SpanBuilder::from_name(name).with_kind(SpanKind::Client);
        Operation::start(span, &Context::current(), series, || {
            let operation = KeyValue::new(names::DB_OPERATION_NAME, CONNECT);
            self.attributes.iter().cloned().chain([operation])
        })
    }

    /// The attributes of both the span and the metric.
    fn common<S: Statement>(&self) -> impl Iterator<Item = KeyValue> {
        self.attributes.iter().cloned().chain([
            KeyValue::new(names::DB_OPERATION_NAME, S::OPERATION),
            KeyValue::new(names::DB_COLLECTION_NAME, S::COLLECTION),
        ])
    }
}

/// `db.operation.name` of a new connection.
const CONNECT: &str = "CONNECT";

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

    pub(super) fn set_attributes<const N: usize>(&self, attributes: impl FnOnce() -> [KeyValue; N]) {
        self.operation.set_attributes(attributes);
    }

    /// Ends the span of a statement whose end is not known.
    pub(super) fn end_unknown(self, error: &'static str) {
        self.operation.end_unknown(Cow::Borrowed(error));
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

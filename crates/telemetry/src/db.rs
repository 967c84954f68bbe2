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

use std::borrow::Cow;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use diesel::pg::{Pg, PgQueryBuilder};
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::{DatabaseErrorKind, Error, QueryResult};
use opentelemetry::trace::{FutureExt, SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue};

use crate::metrics::instruments;
use crate::names;
use crate::operation::{ErrorType, Operation};

/// What is known of a statement before it runs. Write it with [`statement!`](crate::statement).
pub trait Statement: 'static {
    /// `INSERT`, `SELECT`, `UPDATE`, `DELETE`.
    const OPERATION: &'static str;
    /// The table.
    const COLLECTION: &'static str;
    /// Operation and table: the span's name.
    const SUMMARY: &'static str;
    /// The comment that the statement carries to the server, in sqlcommenter's form.
    const COMMENT: &'static str;

    /// Where the statement's text is kept once it is known.
    #[doc(hidden)]
    fn text() -> &'static OnceLock<String>;
}

/// Declares [`Statement`] types: `Name: "OPERATION" "table", action "what_for", framework "actix-web";`
///
/// The action and the framework that asks for it become the statement's comment.
#[macro_export]
macro_rules! statement {
    ($($(#[$doc:meta])* $name:ident: $operation:literal $collection:literal, action $action:literal, framework $framework:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy)]
        struct $name;

        impl $crate::db::Statement for $name {
            const OPERATION: &'static str = $operation;
            const COLLECTION: &'static str = $collection;
            const SUMMARY: &'static str = concat!($operation, " ", $collection);
            const COMMENT: &'static str = concat!(" /*action='", $action, "',db_driver='diesel-async',framework='", $framework, "'*/");

            fn text() -> &'static std::sync::OnceLock<String> {
                static TEXT: std::sync::OnceLock<String> = std::sync::OnceLock::new();
                &TEXT
            }
        }
    )+};
}

/// A query with its statement's comment behind it. Runs like the query itself.
#[derive(Debug, Clone, Copy)]
pub struct Commented<Q, S> {
    query: Q,
    statement: std::marker::PhantomData<S>,
}

/// Puts the statement's comment behind the query, and notes the query's text for its spans at the first call.
pub fn commented<S, Q>(query: Q) -> Commented<Q, S>
where
    S: Statement,
    Q: QueryFragment<Pg>,
{
    S::text().get_or_init(|| {
        let mut builder = PgQueryBuilder::default();
        match query.to_sql(&mut builder, &Pg) {
            Ok(()) => diesel::query_builder::QueryBuilder::<Pg>::finish(builder),
            Err(_) => S::SUMMARY.to_owned(),
        }
    });
    Commented {
        query,
        statement: std::marker::PhantomData,
    }
}

impl<Q: QueryFragment<Pg>, S: Statement> QueryFragment<Pg> for Commented<Q, S> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        self.query.walk_ast(out.reborrow())?;
        out.push_sql(S::COMMENT);
        Ok(())
    }
}

impl<Q: QueryId, S: Statement> QueryId for Commented<Q, S> {
    type QueryId = Commented<Q::QueryId, S>;
    const HAS_STATIC_QUERY_ID: bool = Q::HAS_STATIC_QUERY_ID;
}

impl<Q: Query, S> Query for Commented<Q, S> {
    type SqlType = Q::SqlType;
}

impl<Q, S, Conn> diesel::RunQueryDsl<Conn> for Commented<Q, S> {}

/// The PostgreSQL server that statements go to, as their spans name it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Server {
    attributes: Arc<[KeyValue]>,
    slow: Duration,
}

impl Server {
    /// A server by its host, port and database; statements that take longer than `slow` are marked.
    pub fn new(host: &str, port: u16, database: &str, slow: Duration) -> Self {
        let attributes = [
            KeyValue::new(names::DB_SYSTEM_NAME, names::POSTGRESQL),
            KeyValue::new(names::DB_NAMESPACE, database.to_owned()),
            KeyValue::new(names::SERVER_ADDRESS, host.to_owned()),
            KeyValue::new(names::SERVER_PORT, i64::from(port)),
        ];
        Self {
            attributes: attributes.into(),
            slow,
        }
    }

    /// Runs a statement inside its span.
    pub async fn run<S: Statement, T>(
        &self,
        statement: impl Future<Output = QueryResult<T>>,
    ) -> QueryResult<T> {
        self.run_batch::<S, T>(1, statement).await
    }

    /// Runs a statement that stands for `size` operations; the span says so from 2 on.
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
        let error = result.as_ref().err().and_then(error_type);
        if let Some(state) = result.as_ref().err().and_then(sqlstate) {
            operation.describe_both(KeyValue::new(names::DB_RESPONSE_STATUS_CODE, state));
        }
        operation.end(error);
        result
    }

    fn start<S: Statement>(&self, size: usize) -> Operation {
        let mut metric_attributes = self.attributes.to_vec();
        metric_attributes.push(KeyValue::new(names::DB_QUERY_SUMMARY, S::SUMMARY));
        metric_attributes.push(KeyValue::new(names::DB_OPERATION_NAME, S::OPERATION));
        metric_attributes.push(KeyValue::new(names::DB_COLLECTION_NAME, S::COLLECTION));
        let operation = Operation::start(
            SpanBuilder::from_name(S::SUMMARY).with_kind(SpanKind::Client),
            &Context::current(),
            &instruments().db_duration,
            metric_attributes,
        );
        operation.describe(|| {
            let mut attributes = self.attributes.to_vec();
            attributes.push(KeyValue::new(names::DB_OPERATION_NAME, S::OPERATION));
            attributes.push(KeyValue::new(names::DB_COLLECTION_NAME, S::COLLECTION));
            attributes.push(KeyValue::new(names::DB_QUERY_SUMMARY, S::SUMMARY));
            if let Some(text) = S::text().get() {
                attributes.push(KeyValue::new(names::DB_QUERY_TEXT, text.as_str()));
            }
            if size > 1 {
                let size = i64::try_from(size).unwrap_or(i64::MAX);
                attributes.push(KeyValue::new(names::DB_OPERATION_BATCH_SIZE, size));
            }
            attributes
        });
        operation
    }
}

/// A row that is not there is an answer, not an error.
fn error_type(error: &Error) -> Option<ErrorType> {
    match error {
        Error::NotFound => None,
        Error::DatabaseError(kind, _) => Some(Cow::Borrowed(match kind {
            DatabaseErrorKind::UniqueViolation => "unique_violation",
            DatabaseErrorKind::ForeignKeyViolation => "foreign_key_violation",
            DatabaseErrorKind::NotNullViolation => "not_null_violation",
            DatabaseErrorKind::CheckViolation => "check_violation",
            DatabaseErrorKind::ExclusionViolation => "exclusion_violation",
            DatabaseErrorKind::SerializationFailure => "serialization_failure",
            DatabaseErrorKind::ReadOnlyTransaction => "read_only_transaction",
            DatabaseErrorKind::ClosedConnection => "connection_closed",
            DatabaseErrorKind::UnableToSendCommand => "connection_failed",
            _ => "database_error",
        })),
        Error::QueryBuilderError(_) | Error::SerializationError(_) => Some(Cow::Borrowed("encode")),
        Error::DeserializationError(_) => Some(Cow::Borrowed("decode")),
        _ => Some(Cow::Borrowed("other")),
    }
}

/// The SQLSTATE, for the kinds of error that have exactly one. diesel does not pass on the others.
fn sqlstate(error: &Error) -> Option<&'static str> {
    let Error::DatabaseError(kind, _) = error else {
        return None;
    };
    match kind {
        DatabaseErrorKind::UniqueViolation => Some("23505"),
        DatabaseErrorKind::ForeignKeyViolation => Some("23503"),
        DatabaseErrorKind::NotNullViolation => Some("23502"),
        DatabaseErrorKind::CheckViolation => Some("23514"),
        DatabaseErrorKind::ExclusionViolation => Some("23P01"),
        DatabaseErrorKind::SerializationFailure => Some("40001"),
        DatabaseErrorKind::ReadOnlyTransaction => Some("25006"),
        _ => None,
    }
}

//! Statements that the program does not describe: diesel calls [`ConnectionTracing`] for each.

use std::collections::hash_map::DefaultHasher;
use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use diesel::QueryResult;
use diesel::connection::{DebugQuery, Instrumentation, InstrumentationEvent, set_default_instrumentation};
use diesel::result::Error;
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue};

use super::description::{Description, describe};
use super::refined::{connections_trace, is_refined};
#[cfg(feature = "actix")]
use super::repeats;
use super::server::{Outcome, Server};
use crate::names;
use crate::operation::{CANCELLED, ErrorType, Operation, Started};
use crate::scope::{is_metering, is_tracing};

/// The largest number of statements of a connection whose end is not known. Above it the oldest are
/// cancelled.
const MAX_OPEN: usize = 64;

/// `error.type` of a connection that was not made.
const CONNECTION_FAILED: ErrorType = ErrorType::Borrowed("connection_failed");

/// Makes a span and a duration for each statement of a connection of diesel or diesel-async, and for
/// connecting. For connections that the program makes itself; [`trace_connections`] is for all others.
///
/// ```
/// use std::time::Duration;
/// use diesel::Connection;
/// use throughline_telemetry::db::{ConnectionTracing, Server};
///
/// fn trace(connection: &mut impl Connection) {
///     let server = Server::new("localhost", 5432, "shop", Duration::from_millis(100));
///     connection.set_instrumentation(ConnectionTracing::new(server));
/// }
/// ```
#[derive(Debug)]
pub struct ConnectionTracing {
    /// `None` until the connection has named its URL.
    server: Option<Server>,
    slow: Duration,
    /// The span of the connection while it is made.
    connecting: Option<Operation>,
    /// Statements that started and have not ended, in the order of their starts.
    open: Vec<Open>,
    /// The text of the latest statement. Its memory is used again.
    text: String,
}

/// A statement whose end is not known. Its span is made at its end, when it is known whether the program
/// describes it: a future of diesel-async starts when it is made, before it runs inside [`Server::run`].
#[derive(Debug)]
struct Open {
    /// Of the text.
    hash: u64,
    description: Description,
    parent: Context,
    started: Started,
    is_prepared: bool,
}

/// Traces every connection that this process makes from now on, with the server that its URL names. A
/// statement that takes longer than `slow` is `db.query.slow`. Statements that run inside [`Server::run`] are
/// left to it.
///
/// # Errors
/// diesel's own, if a thread panicked while it set the default.
pub fn trace_connections(slow: Duration) -> QueryResult<()> {
    static SLOW_MICROS: AtomicU64 = AtomicU64::new(u64::MAX);
    let micros = u64::try_from(slow.as_micros()).unwrap_or(u64::MAX);
    SLOW_MICROS.store(micros, Ordering::Relaxed);
    set_default_instrumentation(|| {
        let slow = Duration::from_micros(SLOW_MICROS.load(Ordering::Relaxed));
        Some(Box::new(ConnectionTracing::of(None, slow)))
    })
}

impl ConnectionTracing {
    /// Traces a connection to this server.
    pub fn new(server: Server) -> Self {
        let slow = server.slow;
        Self::of(Some(server), slow)
    }

    fn of(server: Option<Server>, slow: Duration) -> Self {
        connections_trace();
        Self {
            server,
            slow,
            connecting: None,
            open: Vec::new(),
            text: String::new(),
        }
    }

    fn server(&mut self) -> &Server {
        // Only a connection that was made from a client of another crate has not named its URL.
        self.server
            .get_or_insert_with(|| Server::from_url("postgres://", self.slow))
    }

    fn start(&mut self, query: &dyn DebugQuery) {
        let parent = Context::current();
        // Those of the set-up are a part of connecting.
        if self.connecting.is_some() || is_refined(&parent) {
            return;
        }
        self.cancel(|open| is_of_other_trace(&open.parent, &parent));
        if self.open.len() >= MAX_OPEN
            && let Some(oldest) = self.open.first().map(|open| open.hash)
        {
            self.cancel(|open| open.hash == oldest);
        }
        let dialect = self.server().system.dialect();
        let hash = self.read_text(query);
        let description = describe(&self.text, dialect);
        #[cfg(feature = "actix")]
        if let std::borrow::Cow::Borrowed(text) = description.text {
            repeats::count(&parent, text, description.summary.name, || Some(text));
        }
        self.open.push(Open {
            hash,
            description,
            parent,
            started: Started::now(),
            is_prepared: false,
        });
    }

    fn finish(&mut self, query: &dyn DebugQuery, error: Option<&Error>) {
        let current = Context::current();
        let Some(open) = self.take(query, &current) else {
            return;
        };
        if is_refined(&current) {
            return;
        }
        // A future that was made outside of a span may run inside of it:
        // `query.load(connection).instrument(..)`.
        let parent = if current.has_active_span() {
            &current
        } else {
            &open.parent
        };
        let span = self
            .server()
            .start_described(&open.description, parent, open.started);
        if open.is_prepared {
            span.set_attributes(|| [KeyValue::new(names::DB_QUERY_PREPARED, true)]);
        }
        span.end(Outcome::new(1, error));
    }

    /// The statement that ended. If several have the same text, it is one of the same span, or the latest:
    /// the others were cancelled, or run at the same time for the same caller.
    fn take(&mut self, query: &dyn DebugQuery, current: &Context) -> Option<Open> {
        if self.open.len() <= 1 {
            return self.open.pop();
        }
        let hash = self.read_text(query);
        let same_text = |open: &Open| open.hash == hash;
        let same_span = |open: &Open| {
            open.parent.span().span_context().span_id() == current.span().span_context().span_id()
        };
        let at = self
            .open
            .iter()
            .rposition(|open| same_text(open) && same_span(open))
            .or_else(|| self.open.iter().rposition(same_text))?;
        Some(self.open.remove(at))
    }

    /// Ends statements whose futures were dropped. When that was is not known.
    fn cancel(&mut self, is_cancelled: impl Fn(&Open) -> bool) {
        if !self.open.iter().any(&is_cancelled) {
            return;
        }
        let server = self.server().clone();
        for open in self.open.extract_if(.., |open| is_cancelled(open)) {
            server
                .start_described(&open.description, &open.parent, open.started)
                .end_unknown(CANCELLED);
        }
    }

    /// Reads the statement's text, without its binds. Returns its hash.
    fn read_text(&mut self, query: &dyn DebugQuery) -> u64 {
        self.text.clear();
        // It fails where the binds begin.
        let _ = write!(WithoutBinds(&mut self.text), "{query}");
        hash(&self.text)
    }
}

impl Instrumentation for ConnectionTracing {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if !is_tracing() && !is_metering() {
            return;
        }
        match event {
            InstrumentationEvent::StartEstablishConnection { url, .. } => {
                let slow = self.slow;
                let server = self.server.get_or_insert_with(|| Server::from_url(url, slow));
                self.connecting = Some(server.connect());
            }
            InstrumentationEvent::FinishEstablishConnection { error, .. } => {
                if let Some(connecting) = self.connecting.take() {
                    connecting.end(error.map(|_| CONNECTION_FAILED));
                }
            }
            InstrumentationEvent::StartQuery { query, .. } => self.start(query),
            InstrumentationEvent::CacheQuery { sql, .. } => {
                let hash = hash(sql);
                if let Some(open) = self.open.iter_mut().rfind(|open| open.hash == hash) {
                    open.is_prepared = true;
                }
            }
            InstrumentationEvent::FinishQuery { query, error, .. } => self.finish(query, error),
            // These have the connection to themselves. Their SQL is a statement of its own.
            InstrumentationEvent::BeginTransaction { .. }
            | InstrumentationEvent::CommitTransaction { .. }
            | InstrumentationEvent::RollbackTransaction { .. } => self.cancel(|_| true),
            _ => {}
        }
    }
}

impl Drop for ConnectionTracing {
    fn drop(&mut self) {
        self.cancel(|_| true);
        // diesel-async does not report a connection that failed.
        if let Some(connecting) = self.connecting.take() {
            connecting.end(Some(CONNECTION_FAILED));
        }
    }
}

/// Whether another request has the connection by now.
fn is_of_other_trace(one: &Context, other: &Context) -> bool {
    one.has_active_span()
        && other.has_active_span()
        && one.span().span_context().trace_id() != other.span().span_context().trace_id()
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Receives what diesel shows of a statement, up to its binds, which are not formatted.
struct WithoutBinds<'a>(&'a mut String);

impl Write for WithoutBinds<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        match text.split_once(" -- binds: ") {
            Some((sql, _)) => {
                self.0.push_str(sql);
                Err(fmt::Error)
            }
            None => {
                self.0.push_str(text);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn binds_are_not_even_formatted() {
        struct Shown;
        impl fmt::Display for Shown {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let sql = "SELECT $1";
                write!(f, "{sql} -- binds: {Bind:?}")
            }
        }
        struct Bind;
        impl fmt::Debug for Bind {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                panic!("a bind is formatted");
            }
        }
        let mut text = String::new();
        assert!(write!(WithoutBinds(&mut text), "{Shown}").is_err());
        assert_eq!(text, "SELECT $1");
    }
}

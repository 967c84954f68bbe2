//! A connection that makes the spans of its commands.

use std::borrow::Cow;
use std::slice;
use std::sync::Arc;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisFuture, RedisResult, Value};

use super::command::{batch_name, batch_text, name, text};
use super::failure::Failed;
use super::server::Server;

/// A traced connection: a span and a duration for each command, with the command's name, and for each
/// pipeline and transaction. It is used like the connection that it wraps.
#[derive(Debug, Clone)]
pub struct Connection<C> {
    connection: C,
    server: Server,
    patterns: Arc<[Box<str>]>,
}

impl<C> Connection<C> {
    /// Traces the commands of `connection`. Keys are not shown.
    pub fn new(connection: C, server: Server) -> Self {
        Self {
            connection,
            server,
            patterns: Arc::default(),
        }
    }

    /// Shows these patterns in place of keys that match them: `totals:*`, where `*` is any text.
    #[must_use]
    pub fn key_patterns<'a>(mut self, patterns: impl IntoIterator<Item = &'a str>) -> Self {
        self.patterns = patterns.into_iter().map(Box::from).collect();
        self
    }

    /// The connection without tracing.
    pub fn into_inner(self) -> C {
        self.connection
    }
}

impl<C: ConnectionLike + Send> ConnectionLike for Connection<C> {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        let text = Cow::Owned(text(command, &self.patterns));
        let sending = self.connection.req_packed_command(command);
        let failed = |result: &RedisResult<Value>| match result {
            Ok(value) => Failed::in_values(slice::from_ref(value)),
            Err(error) => Some(Failed::of(error)),
        };
        Box::pin(self.server.run_batch(name(command), text, 1, sending, failed))
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        let commands = || pipeline.cmd_iter();
        let name = batch_name(commands(), pipeline.is_transaction());
        let text = batch_text(commands(), &self.patterns);
        let sending = self.connection.req_packed_commands(pipeline, offset, count);
        let failed = |result: &RedisResult<Vec<Value>>| match result {
            Ok(values) => Failed::in_values(values),
            Err(error) => Some(Failed::of(error)),
        };
        let size = commands().count();
        Box::pin(self.server.run_batch(name, text, size, sending, failed))
    }

    fn get_db(&self) -> i64 {
        self.connection.get_db()
    }
}

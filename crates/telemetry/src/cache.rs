//! Redis as a cache: a CLIENT span and a duration for each command, with the command and the pattern of its
//! key, never the key or a value.
//!
//! ```
//! # async fn get(key: &str) -> redis::RedisResult<Option<String>> { Ok(None) }
//! # async fn run() -> redis::RedisResult<()> {
//! use throughline_telemetry::cache;
//!
//! let server = cache::Server::new("localhost", 6379, 0);
//! let cached = server.run("GET", "GET totals:*", get("totals:customer-1")).await?;
//! # Ok(())
//! # }
//! ```

use std::borrow::Cow;
use std::future::Future;
use std::sync::Arc;

use opentelemetry::trace::{FutureExt, SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue};

use crate::instruments::instruments;
use crate::measures::SeriesByKey;
use crate::names;
use crate::operation::Operation;

/// The Redis server as its commands' spans name it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Server {
    attributes: Arc<[KeyValue]>,
    /// By the command's name.
    series: Arc<SeriesByKey<&'static str>>,
}

/// The error of a command. Implement it for a service's own errors, such as a timeout.
pub trait Failure {
    /// `error.type`: a word of a bounded set, never a message.
    fn error_type(&self) -> &'static str;

    /// `db.response.status_code`: the code of an error response, such as `WRONGTYPE`. A code that Redis does
    /// not document, from a script or a module, becomes `_OTHER`.
    fn status_code(&self) -> Option<&str> {
        None
    }
}

impl Failure for redis::RedisError {
    fn error_type(&self) -> &'static str {
        if self.is_timeout() {
            "timeout"
        } else if self.is_connection_refusal() || self.is_connection_dropped() {
            "connection"
        } else if self.is_io_error() {
            "io"
        } else if self.code().is_some() {
            "server"
        } else {
            "client"
        }
    }

    fn status_code(&self) -> Option<&str> {
        self.code()
    }
}

/// The codes of Redis' own errors. They bound the values of a metric's attribute.
const CODES: &str = "ASK BUSY BUSYGROUP BUSYKEY CLUSTERDOWN CROSSSLOT DENIED ERR EXECABORT INPROG LOADING \
    MASTERDOWN MISCONF MOVED NOAUTH NOGOODSLAVE NOGROUP NOPERM NOPROTO NOREPLICAS NOSCRIPT NOSUB NOTBUSY OOM \
    READONLY STALE TRYAGAIN UNKILLABLE WRONGPASS WRONGTYPE";

fn known_code(code: &str) -> &'static str {
    let mut codes = CODES.split(' ');
    codes.find(|known| *known == code).unwrap_or("_OTHER")
}

impl Server {
    /// A server by its host, port and database number.
    pub fn new(host: &str, port: u16, database: i64) -> Self {
        let attributes = [
            KeyValue::new(names::DB_SYSTEM_NAME, names::REDIS),
            KeyValue::new(names::DB_NAMESPACE, Arc::<str>::from(database.to_string())),
            KeyValue::new(names::SERVER_ADDRESS, Arc::<str>::from(host)),
            KeyValue::new(names::SERVER_PORT, i64::from(port)),
        ];
        Self {
            attributes: attributes.into(),
            series: Arc::default(),
        }
    }

    /// Runs a command inside its span. `operation` is the command's name, `text` the command with its key's
    /// pattern.
    ///
    /// # Errors
    /// The command's own.
    pub async fn run<T, E: Failure>(
        &self,
        operation: &'static str,
        text: &'static str,
        command: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        let common = || {
            let name = KeyValue::new(names::DB_OPERATION_NAME, operation);
            self.attributes.iter().cloned().chain([name])
        };
        let span = SpanBuilder::from_name(operation).with_kind(SpanKind::Client);
        let parent = Context::current();
        let series = self.series.get(operation, &instruments().database, common);
        let text = || common().chain([KeyValue::new(names::DB_QUERY_TEXT, text)]);
        let mut operation = Operation::start(span, &parent, series, text);
        let context = operation.context().clone();

        let result = command.with_context(context).await;
        let failure = result.as_ref().err();
        if let Some(code) = failure.and_then(Failure::status_code) {
            let code = KeyValue::new(names::DB_RESPONSE_STATUS_CODE, known_code(code));
            operation.set_shared_attribute(code);
        }
        operation.end(failure.map(|failure| Cow::Borrowed(failure.error_type())));
        result
    }
}

//! How a command fails.

use redis::Value;

/// `error.type` of an error response.
const SERVER: &str = "server";

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
            SERVER
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

/// How a command failed, as its span and metric show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) error_type: &'static str,
    pub(super) code: Option<&'static str>,
}

impl Failed {
    pub(super) fn of(failure: &impl Failure) -> Self {
        Self {
            error_type: failure.error_type(),
            code: failure.status_code().map(known_code),
        }
    }

    /// The first error among the responses of a connection, which are values there: of a single command, or
    /// of a pipeline or transaction, whose responses may be in an array.
    pub(super) fn in_values(values: &[Value]) -> Option<Self> {
        values.iter().find_map(|value| match value {
            Value::ServerError(error) => Some(Self {
                error_type: SERVER,
                code: Some(known_code(error.code())),
            }),
            Value::Array(inner) => inner
                .iter()
                .find_map(|it| Self::in_values(std::slice::from_ref(it))),
            _ => None,
        })
    }
}

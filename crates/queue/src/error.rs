//! Errors that an operator can act on. No error carries a URL: it may hold a password.

use redis::RedisError;

/// An error of a [`Queue`](crate::Queue).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueueError {
    /// The release of apalis-redis in this build stores a queue elsewhere than the scripts of this crate do.
    #[error(
        "apalis-redis uses the key {found:?} where throughline-queue uses {expected:?}; use apalis-redis 1.0"
    )]
    Layout {
        /// The key of this crate.
        expected: String,
        /// The key of apalis-redis.
        found: String,
    },
    /// redis-rs cannot parse the URL.
    #[error("the Redis URL is not valid, want redis://host:port or rediss://host:port: {0}")]
    InvalidUrl(#[source] RedisError),
    /// The queue's name cannot be used as a key prefix.
    #[error("the queue name {0:?} is not valid, want 1 to 64 letters, digits, `-`, `_` or `.`")]
    InvalidName(String),
    /// apalis would format the id differently when it acknowledges the job, and fail.
    #[error("the job id {0:?} is not valid: empty, or a number or ULID in an unusual spelling")]
    InvalidId(String),
    /// The job could not be serialized as JSON.
    #[error("job {id} could not be serialized as JSON")]
    Encode {
        /// The job's id.
        id: String,
        /// The error of serde_json.
        source: serde_json::Error,
    },
    /// [`WorkOptions::concurrency`](crate::WorkOptions::concurrency) is out of range.
    #[error("the worker's concurrency {0} is not valid, want 1 to 10000")]
    InvalidConcurrency(usize),
    /// Redis is unavailable, responds too slowly, or responded with an error.
    #[error("could not {doing} on Redis at {server}: {source}")]
    Redis {
        /// The operation: "enqueue".
        doing: &'static str,
        /// `host:port`.
        server: String,
        /// The error of redis-rs.
        source: RedisError,
    },
}

impl QueueError {
    /// A word for the attribute `error.type` of a span or a metric: `redis` if Redis is the cause, else
    /// `invalid_job`.
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::Redis { .. } => "redis",
            _ => "invalid_job",
        }
    }
}

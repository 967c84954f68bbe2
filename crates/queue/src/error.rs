//! What can go wrong, said so that a person can act on it. No error carries a URL: it may hold a password.

use redis::RedisError;

/// An error of a [`Queue`](crate::Queue).
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The URL is not one that redis-rs reads.
    #[error("the Redis URL is not valid, want redis://host:port or rediss://host:port: {0}")]
    InvalidUrl(#[source] RedisError),
    /// The queue's name cannot prefix keys.
    #[error("the queue name {0:?} is not valid, want 1 to 64 letters, digits, `-`, `_` or `.`")]
    InvalidName(String),
    /// apalis would spell the id differently when it acknowledges the job, and fail.
    #[error("the job id {0:?} is not valid: empty, or a number or ULID in an unusual spelling")]
    InvalidId(String),
    /// The job could not be written as JSON.
    #[error("job {id} could not be written as JSON")]
    Encode {
        /// The job's id.
        id: String,
        /// Why.
        source: serde_json::Error,
    },
    /// The number of jobs to run at the same time is out of range.
    #[error("the worker's concurrency {0} is not valid, want 1 to 10000")]
    InvalidConcurrency(usize),
    /// Redis is away, too slow, or refused the command.
    #[error("could not {doing} on Redis at {server}: {source}")]
    Redis {
        /// What was being done: "enqueue".
        doing: &'static str,
        /// `host:port`.
        server: String,
        /// What redis-rs says.
        source: RedisError,
    },
}

//! Connection settings of one queue.

use std::fmt;
use std::time::Duration;

use crate::error::QueueError;

/// Connection settings of one queue.
#[derive(Clone)]
pub struct QueueConfig {
    redis_url: String,
    pub(crate) name: String,
    pub(crate) response_timeout: Duration,
    pub(crate) connect_timeout: Duration,
}

impl QueueConfig {
    /// The settings for a queue, with the default timeouts.
    ///
    /// The URL is `redis://` or, for TLS, `rediss://`, as redis-rs reads it:
    /// `redis://user:password@host:port/database`. The queue's name is the prefix of all its keys: 1 to 64
    /// letters, digits, `-`, `_` or `.`.
    pub fn new(redis_url: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            redis_url: redis_url.into(),
            name: name.into(),
            response_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
        }
    }

    /// Response timeout of a command; default 5 s. With redis-rs' default of 500 ms every short stall ends a
    /// worker.
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// Connect timeout, per attempt; default 2 s. A call fails after two attempts.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// The queue's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL, with its password.
    pub fn redis_url(&self) -> &str {
        &self.redis_url
    }

    /// Whether the queue can have its name, which [`Queue::connect`](crate::Queue::connect) requires.
    ///
    /// # Errors
    /// [`QueueError::InvalidName`].
    pub fn validate(&self) -> Result<(), QueueError> {
        // A `:` in a name could make the keys of two queues the same.
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if (1..=64).contains(&self.name.len()) && self.name.chars().all(allowed) {
            Ok(())
        } else {
            Err(QueueError::InvalidName(self.name.clone()))
        }
    }
}

/// Without the URL, which may hold a password.
impl fmt::Debug for QueueConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueConfig")
            .field("name", &self.name)
            .field("response_timeout", &self.response_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_be_another_queues_key_is_invalid() {
        let is_valid = |name: &str| QueueConfig::new("redis://h", name).validate().is_ok();
        for name in ["", "orders:meta", "or ders", "{orders}", &"x".repeat(65)] {
            assert!(!is_valid(name), "{name:?}");
        }
        assert!(is_valid("orders-2.eu_west"));
    }

    #[test]
    fn a_password_is_not_printed() {
        let config = QueueConfig::new("redis://:secret@127.0.0.1", "orders");
        assert!(!format!("{config:?}").contains("secret"));
    }
}

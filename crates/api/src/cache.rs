//! A cache in Redis. If Redis is slow or unavailable, the value counts as missing.

use std::time::Duration;

use queue::{Connection, Queue};
use redis::RedisError;
use telemetry::cache::{Failure, Server};

/// Upper bound of what the cache adds to a request.
const CACHE_TIMEOUT: Duration = Duration::from_millis(100);

pub(crate) struct Cache {
    connection: Connection,
    server: Server,
    prefix: String,
}

/// Why Redis did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("no response within {CACHE_TIMEOUT:?}")]
    Timeout,
}

impl Failure for CacheError {
    fn error_type(&self) -> &'static str {
        match self {
            Self::Redis(error) => error.error_type(),
            Self::Timeout => "timeout",
        }
    }

    fn status_code(&self) -> Option<&str> {
        match self {
            Self::Redis(error) => error.code(),
            Self::Timeout => None,
        }
    }
}

impl Cache {
    /// In the queue's database, under the keys `{queue}:cache:{key}`.
    pub(crate) fn new<J: queue::Job>(queue: &Queue<J>) -> Self {
        let (host, port) = queue.server();
        Self {
            connection: queue.connection(),
            server: Server::new(host, port, queue.database()),
            prefix: format!("{}:cache:", queue.name()),
        }
    }

    pub(crate) async fn get(&self, key: &str) -> Option<String> {
        let mut command = redis::cmd("GET");
        command.arg(format!("{}{key}", self.prefix));
        let value = self.run("GET", "GET {queue}:cache:{key}", &command).await;
        value.unwrap_or_else(|error| {
            tracing::debug!(%error, "cannot read the cache");
            None
        })
    }

    /// Rounds `ttl` down to seconds.
    pub(crate) async fn set(&self, key: &str, value: &str, ttl: Duration) {
        let mut command = redis::cmd("SET");
        let key = format!("{}{key}", self.prefix);
        command.arg(key).arg(value).arg("EX").arg(ttl.as_secs());
        let text = "SET {queue}:cache:{key} ? EX ?";
        if let Err(error) = self.run::<()>("SET", text, &command).await {
            tracing::debug!(%error, "cannot write the cache");
        }
    }

    /// Runs a script with one key and one argument.
    pub(crate) async fn eval<T: redis::FromRedisValue>(
        &self,
        script: &str,
        key: &str,
        argument: u32,
    ) -> Result<T, CacheError> {
        let mut command = redis::cmd("EVAL");
        let key = format!("{}{key}", self.prefix);
        command.arg(script).arg(1).arg(key).arg(argument);
        self.run("EVAL", "EVAL {queue}:cache:{key} ?", &command).await
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        operation: &'static str,
        text: &'static str,
        command: &redis::Cmd,
    ) -> Result<T, CacheError> {
        let mut connection = self.connection.clone();
        let response = async {
            match tokio::time::timeout(CACHE_TIMEOUT, command.query_async(&mut connection)).await {
                Ok(response) => Ok(response?),
                Err(_) => Err(CacheError::Timeout),
            }
        };
        self.server.run(operation, text, response).await
    }
}

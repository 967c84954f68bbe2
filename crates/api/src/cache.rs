//! Answers that are kept in Redis for a moment. A Redis that is away or slow costs a request next to nothing: it is answered as if
//! nothing were kept.

use std::time::Duration;

use queue::{Connection, Queue};
use redis::RedisError;
use telemetry::cache::{Failure, Server};

/// The longest that a request waits for Redis.
const PATIENCE: Duration = Duration::from_millis(100);

pub(crate) struct Cache {
    connection: Connection,
    server: Server,
    prefix: String,
}

#[derive(Debug, thiserror::Error)]
enum CacheError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("no answer within {PATIENCE:?}")]
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
    /// Beside the queue, under keys of its own: `{queue}:cache:{key}`.
    pub(crate) fn beside<J: queue::Job>(queue: &Queue<J>) -> Self {
        let (host, port) = queue.server();
        Self {
            connection: queue.connection(),
            server: Server::new(host, port, queue.database()),
            prefix: format!("{}:cache:", queue.name()),
        }
    }

    /// What is kept under this key, if anything.
    pub(crate) async fn get(&self, key: &str) -> Option<String> {
        let mut command = redis::cmd("GET");
        command.arg(format!("{}{key}", self.prefix));
        let kept = self.run("GET", "GET {queue}:cache:{key}", &command).await;
        kept.unwrap_or_else(|error| {
            tracing::debug!(%error, "not read from Redis");
            None
        })
    }

    /// Keeps it for so long, in whole seconds.
    pub(crate) async fn keep(&self, key: &str, value: &str, time: Duration) {
        let mut command = redis::cmd("SET");
        let key = format!("{}{key}", self.prefix);
        command.arg(key).arg(value).arg("EX").arg(time.as_secs());
        let text = "SET {queue}:cache:{key} ? EX ?";
        if let Err(error) = self.run::<()>("SET", text, &command).await {
            tracing::debug!(%error, "not kept in Redis");
        }
    }

    async fn run<T: redis::FromRedisValue>(
        &self,
        operation: &'static str,
        text: &'static str,
        command: &redis::Cmd,
    ) -> Result<T, CacheError> {
        let mut connection = self.connection.clone();
        let answer = async {
            match tokio::time::timeout(PATIENCE, command.query_async(&mut connection)).await {
                Ok(answer) => Ok(answer?),
                Err(_) => Err(CacheError::Timeout),
            }
        };
        self.server.run(operation, text, answer).await
    }
}

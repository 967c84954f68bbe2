//! What analytics were a moment ago, in Redis: counting reads every order. The cache is never in the way: what it does not say
//! at once is counted.

use std::time::Duration;

use domain::{CustomerId, ProcessOrder};
use queue::Queue;
use redis::aio::ConnectionManager;
use redis::{AsyncCommands, RedisError};
use telemetry::cache::{Failure, Server};

use super::analytics::Analytics;

/// How old an answer may be, in seconds.
const KEPT: u64 = 5;
/// Longer than Redis takes, shorter than counting.
const PATIENCE: Duration = Duration::from_millis(100);

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct AnalyticsCache {
    connection: ConnectionManager,
    server: Server,
    queue: String,
}

#[derive(Debug, thiserror::Error)]
enum CacheError {
    #[error(transparent)]
    Redis(#[from] RedisError),
    #[error("Redis did not answer within {PATIENCE:?}")]
    TooLate,
}

impl Failure for CacheError {
    fn error_type(&self) -> &'static str {
        match self {
            Self::Redis(error) => error.error_type(),
            Self::TooLate => "timeout",
        }
    }

    fn status_code(&self) -> Option<&str> {
        match self {
            Self::Redis(error) => error.status_code(),
            Self::TooLate => None,
        }
    }
}

impl AnalyticsCache {
    /// In the queue's own Redis, beside its keys.
    pub(crate) fn new(queue: &Queue<ProcessOrder>) -> Self {
        let (host, port) = queue.server();
        Self {
            connection: queue.connection(),
            server: Server::new(host, port, queue.database()),
            queue: queue.name().to_owned(),
        }
    }

    /// The analytics of this customer, or of all; `None` where they are not known.
    pub(super) async fn get(&self, customer: Option<&CustomerId>) -> Option<Analytics> {
        let (key, mut connection) = (self.key(customer), self.connection.clone());
        let command = in_time(connection.get::<_, Option<String>>(key));
        match self.server.run("GET", "GET analytics:*", command).await {
            Ok(known) => serde_json::from_str(&known?).ok(),
            Err(error) => {
                tracing::debug!(%error, "the analytics cache gave no answer");
                None
            }
        }
    }

    /// Keeps the analytics for a moment.
    pub(super) async fn set(&self, customer: Option<&CustomerId>, analytics: &Analytics) {
        let Ok(value) = serde_json::to_string(analytics) else {
            return;
        };
        let (key, mut connection) = (self.key(customer), self.connection.clone());
        let command = in_time(connection.set_ex::<_, _, ()>(key, value, KEPT));
        let text = "SET analytics:* ? EX ?";
        if let Err(error) = self.server.run("SET", text, command).await {
            tracing::debug!(%error, "the analytics were not cached");
        }
    }

    fn key(&self, customer: Option<&CustomerId>) -> String {
        let queue = &self.queue;
        match customer {
            Some(customer) => format!("{queue}:analytics:of:{}", customer.as_str()),
            None => format!("{queue}:analytics:all"),
        }
    }
}

async fn in_time<T>(command: impl Future<Output = Result<T, RedisError>>) -> Result<T, CacheError> {
    match tokio::time::timeout(PATIENCE, command).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(CacheError::TooLate),
    }
}

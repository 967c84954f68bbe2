//! One connection to Redis, shared by all clones of a queue: pipelined, reconnecting, with time-outs that end.

use std::time::Duration;

use redis::{
    Client, ConnectionAddr, FromRedisValue, RedisError, ScriptInvocation,
    aio::{ConnectionManager, ConnectionManagerConfig},
};

use crate::{config::QueueConfig, error::QueueError};

/// A connection and where it leads.
#[derive(Clone)]
pub(crate) struct Connection {
    client: Client,
    manager: ConnectionManager,
}

impl Connection {
    /// Does not connect yet: the first command does, and each command tries again while Redis is away.
    /// Must be called within a tokio runtime.
    pub(crate) fn lazy(config: &QueueConfig) -> Result<Self, QueueError> {
        let client = Client::open(config.redis_url.as_str()).map_err(QueueError::InvalidUrl)?;
        let settings = ConnectionManagerConfig::new()
            .set_response_timeout(Some(config.response_timeout))
            .set_connection_timeout(Some(config.connect_timeout))
            // One retry: callers have a fallback and would rather know soon.
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(200));
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), settings)
            .map_err(QueueError::InvalidUrl)?;
        Ok(Self { client, manager })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn manager(&self) -> ConnectionManager {
        self.manager.clone()
    }

    /// Host and port; a Unix socket is its path and port 0.
    pub(crate) fn server(&self) -> (&str, u16) {
        match self.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                (host, *port)
            }
            ConnectionAddr::Unix(path) => (path.to_str().unwrap_or("unix"), 0),
            _ => ("unknown", 0),
        }
    }

    /// The number of the database.
    pub(crate) fn database(&self) -> i64 {
        self.client.get_connection_info().redis_settings().db()
    }

    /// Runs a script. All of ours may run twice: so when the connection turns out to have been dropped meanwhile, as
    /// after a restart or failover of Redis, it is run once more on a new one.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        doing: &'static str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, QueueError> {
        let mut manager = self.manager();
        let mut result = script.invoke_async(&mut manager).await;
        if result.as_ref().is_err_and(was_dropped) {
            result = script.invoke_async(&mut manager).await;
        }
        result.map_err(|source| self.error(doing, source))
    }

    pub(crate) fn error(&self, doing: &'static str, source: RedisError) -> QueueError {
        let (host, port) = self.server();
        let server = format!("{host}:{port}");
        QueueError::Redis {
            doing,
            server,
            source,
        }
    }
}

/// Refused is something else: Redis is away, and trying again at once does not help.
fn was_dropped(error: &RedisError) -> bool {
    error.is_connection_dropped() && !error.is_connection_refusal()
}

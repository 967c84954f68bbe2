//! One connection to Redis, shared by all clones of a queue: pipelined, reconnecting, with timeouts. It is
//! replaced where redis-rs' own manager would keep a connection that no longer works, as after a failover.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig};
use redis::io::tcp::TcpSettings;
use redis::{
    Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline, RedisError,
    RedisFuture, RedisResult, ScriptInvocation, ServerErrorKind, Value,
};

use crate::config::QueueConfig;
use crate::error::QueueError;

/// TCP_USER_TIMEOUT: the kernel closes a connection whose host does not acknowledge data for this long.
/// Without it, the kernel retries for about 15 minutes.
#[cfg(target_os = "linux")]
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);

/// A connection to Redis, shared by its clones. Implements redis-rs' [`ConnectionLike`].
///
/// The [`ConnectionManager`] in it reconnects when the connection breaks. Behind a stable endpoint, which a
/// failover moves to another server, a connection can stay open and be useless. So the manager itself is
/// replaced when Redis responds that it is a replica, when Redis rejects the password (the manager would keep
/// that result forever), and when a response is overdue by the response timeout.
#[derive(Clone)]
pub struct Connection(Arc<Shared>);

struct Shared {
    client: Client,
    settings: ConnectionManagerConfig,
    response_timeout: Duration,
    current: Mutex<Current>,
}

struct Current {
    manager: ConnectionManager,
    /// The number of managers before this one. Responses of replaced managers are ignored.
    generation: u64,
    /// Since when no response has arrived. Needed because callers may give up before the response timeout, so
    /// that the manager reports no timeout.
    waiting_since: Option<Instant>,
}

impl Connection {
    /// The first command connects; while Redis is unavailable each command tries to reconnect.
    /// Must be called within a tokio runtime.
    pub(crate) fn lazy(config: &QueueConfig) -> Result<Self, QueueError> {
        let client = client(config.redis_url()).map_err(QueueError::InvalidUrl)?;
        let settings = ConnectionManagerConfig::new()
            .set_response_timeout(Some(config.response_timeout))
            .set_connection_timeout(Some(config.connect_timeout))
            // One retry only: callers have a fallback, and should fail fast.
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(200));
        Self::new(client, settings, config.response_timeout).map_err(QueueError::InvalidUrl)
    }

    fn new(
        client: Client,
        settings: ConnectionManagerConfig,
        response_timeout: Duration,
    ) -> RedisResult<Self> {
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), settings.clone())?;
        let current = Mutex::new(Current {
            manager,
            generation: 0,
            waiting_since: None,
        });
        Ok(Self(Arc::new(Shared {
            client,
            settings,
            response_timeout,
            current,
        })))
    }

    /// Another connection to the same server, driven by the runtime of its first command; this one, if it
    /// cannot be made.
    pub(crate) fn another(&self) -> Self {
        let Shared {
            client,
            settings,
            response_timeout,
            ..
        } = &*self.0;
        Self::new(client.clone(), settings.clone(), *response_timeout).unwrap_or_else(|error| {
            tracing::warn!(%error, "a thread shares the connection to Redis of another one");
            self.clone()
        })
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    /// Host and port; for a Unix socket its path and port 0.
    pub(crate) fn server(&self) -> (&str, u16) {
        match self.0.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => (host, *port),
            ConnectionAddr::Unix(path) => (path.to_str().unwrap_or("unix"), 0),
            _ => ("unknown", 0),
        }
    }

    pub(crate) fn database(&self) -> i64 {
        self.0.client.get_connection_info().redis_settings().db()
    }

    /// Runs a script. All scripts of this crate are safe to repeat: when the connection was dropped, as after
    /// a restart or failover of Redis, the script is retried once on a new connection.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        doing: &'static str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, QueueError> {
        let mut connection = self.clone();
        let mut result = script.invoke_async(&mut connection).await;
        if result.as_ref().is_err_and(is_retryable) {
            result = script.invoke_async(&mut connection).await;
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

impl Shared {
    /// The manager for a command, and its generation.
    fn begin(&self) -> (ConnectionManager, u64) {
        let mut current = self.lock();
        if current
            .waiting_since
            .is_some_and(|since| since.elapsed() >= self.response_timeout)
        {
            self.replace(&mut current, "a response is overdue");
        }
        current.waiting_since.get_or_insert_with(Instant::now);
        (current.manager.clone(), current.generation)
    }

    /// Evaluates the result of a command of this generation. Error responses of the server are values here:
    /// redis-rs turns them into errors later.
    fn end(&self, generation: u64, result: Result<&[Value], &RedisError>) {
        let server_error = |value: &Value| match value {
            Value::ServerError(error) => Some(RedisError::from(error.clone())),
            _ => None,
        };
        let mut current = self.lock();
        if current.generation != generation {
            return;
        }
        match result {
            Err(error) if needs_new_connection(error) => self.replace(&mut current, error),
            // No response: the next command finds it overdue.
            Err(error) if error.is_timeout() => {}
            Err(_) => current.waiting_since = None,
            Ok(values) => {
                current.waiting_since = None;
                if let Some(error) = values.iter().filter_map(server_error).find(needs_new_connection) {
                    self.replace(&mut current, error);
                }
            }
        }
    }

    fn replace(&self, current: &mut Current, reason: impl fmt::Display) {
        let (client, settings) = (self.client.clone(), self.settings.clone());
        match ConnectionManager::new_lazy_with_config(client, settings) {
            Ok(manager) => {
                tracing::info!("the connection to Redis is replaced: {reason}");
                *current = Current {
                    manager,
                    generation: current.generation + 1,
                    waiting_since: None,
                };
            }
            Err(error) => tracing::warn!(%error, "the connection to Redis cannot be replaced"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Current> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, cmd: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            let (mut manager, generation) = self.0.begin();
            let result = manager.send_packed_command(cmd).await;
            self.0.end(generation, result.as_ref().map(std::slice::from_ref));
            result
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        Box::pin(async move {
            let (mut manager, generation) = self.0.begin();
            let result = manager.send_packed_commands(pipeline, offset, count).await;
            self.0.end(generation, result.as_ref().map(Vec::as_slice));
            result
        })
    }

    fn get_db(&self) -> i64 {
        self.database()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (host, port) = self.server();
        write!(f, "Connection({host}:{port})")
    }
}

/// A client whose connections detect an unreachable host.
fn client(url: &str) -> RedisResult<Client> {
    let info = url.into_connection_info()?;
    let settings = TcpSettings::default();
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(TCP_USER_TIMEOUT);
    Client::open(info.set_tcp_settings(settings))
}

/// The server is no longer a primary, or authentication failed. The manager reconnects in neither case.
fn needs_new_connection(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed
            | ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
    ) || error.code() == Some("NOAUTH")
}

/// Another attempt uses a new connection. After a refused connection an immediate retry does not help: Redis
/// is down.
fn is_retryable(error: &RedisError) -> bool {
    let was_dropped = error.is_connection_dropped() && !error.is_connection_refusal();
    was_dropped || needs_new_connection(error)
}

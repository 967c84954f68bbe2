//! One connection to Redis, shared by all clones of a queue: pipelined, reconnecting, with time-outs that end. It is replaced where
//! redis-rs' own manager would keep one that is of no more use, as after a failover.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use redis::{
    Client, Cmd, ConnectionAddr, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline, RedisError,
    RedisFuture, RedisResult, ScriptInvocation, ServerErrorKind, Value,
    aio::{ConnectionLike, ConnectionManager, ConnectionManagerConfig},
    io::tcp::TcpSettings,
};

use crate::{config::QueueConfig, error::QueueError};

/// How long the kernel waits for a host to acknowledge what was sent. By itself it tries for about 15 minutes.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// A connection and where it leads. Clones share it; commands go through redis-rs as through any other connection.
///
/// The manager below makes a new connection when the old one breaks. Behind a stable endpoint, which a failover moves to another
/// server, a connection can live on and be of no use. So it is also replaced when Redis answers that it is a replica now, when
/// the password was refused (the manager would keep that answer for ever), and when an answer is overdue by the response time-out.
#[derive(Clone)]
pub struct Connection(Arc<Shared>);

struct Shared {
    client: Client,
    settings: ConnectionManagerConfig,
    patience: Duration,
    current: Mutex<Current>,
}

struct Current {
    manager: ConnectionManager,
    /// How many there were before it: an answer of one that was replaced says nothing about this one.
    generation: u64,
    /// Since when it owes an answer. Callers may give up earlier than the response time-out, so a time-out is not always seen.
    owes_since: Option<Instant>,
}

impl Connection {
    /// Does not connect yet: the first command does, and each command tries again while Redis is away.
    /// Must be called within a tokio runtime.
    pub(crate) fn lazy(config: &QueueConfig) -> Result<Self, QueueError> {
        let client = client(&config.redis_url).map_err(QueueError::InvalidUrl)?;
        let settings = ConnectionManagerConfig::new()
            .set_response_timeout(Some(config.response_timeout))
            .set_connection_timeout(Some(config.connect_timeout))
            // One retry: callers have a fallback and would rather know soon.
            .set_number_of_retries(1)
            .set_max_delay(Duration::from_millis(200));
        let manager = ConnectionManager::new_lazy_with_config(client.clone(), settings.clone())
            .map_err(QueueError::InvalidUrl)?;
        let current = Mutex::new(Current {
            manager,
            generation: 0,
            owes_since: None,
        });
        Ok(Self(Arc::new(Shared {
            client,
            settings,
            patience: config.response_timeout,
            current,
        })))
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    /// Host and port; a Unix socket is its path and port 0.
    pub(crate) fn server(&self) -> (&str, u16) {
        match self.0.client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => (host, *port),
            ConnectionAddr::Unix(path) => (path.to_str().unwrap_or("unix"), 0),
            _ => ("unknown", 0),
        }
    }

    /// The number of the database.
    pub(crate) fn database(&self) -> i64 {
        self.0.client.get_connection_info().redis_settings().db()
    }

    /// Runs a script. All of ours may run twice: so when the connection turns out to have been dropped meanwhile, as
    /// after a restart or failover of Redis, it is run once more on a new one.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        doing: &'static str,
        script: &ScriptInvocation<'_>,
    ) -> Result<T, QueueError> {
        let mut connection = self.clone();
        let mut result = script.invoke_async(&mut connection).await;
        if result.as_ref().is_err_and(is_better_tried_again) {
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
            .owes_since
            .is_some_and(|since| since.elapsed() >= self.patience)
        {
            self.replace(&mut current, "an answer is overdue");
        }
        current.owes_since.get_or_insert_with(Instant::now);
        (current.manager.clone(), current.generation)
    }

    /// What the commands of this generation came to. What the server refused is a value here; redis-rs makes an error of it later.
    fn end(&self, generation: u64, result: Result<&[Value], &RedisError>) {
        let refusal = |value: &Value| match value {
            Value::ServerError(error) => Some(RedisError::from(error.clone())),
            _ => None,
        };
        let mut current = self.lock();
        if current.generation != generation {
            return;
        }
        match result {
            Err(error) if is_of_no_more_use(error) => self.replace(&mut current, error),
            // Not an answer: the next command finds it overdue.
            Err(error) if error.is_timeout() => {}
            Err(_) => current.owes_since = None,
            Ok(values) => {
                current.owes_since = None;
                if let Some(error) = values.iter().filter_map(refusal).find(is_of_no_more_use) {
                    self.replace(&mut current, error);
                }
            }
        }
    }

    fn replace(&self, current: &mut Current, why: impl fmt::Display) {
        let (client, settings) = (self.client.clone(), self.settings.clone());
        match ConnectionManager::new_lazy_with_config(client, settings) {
            Ok(manager) => {
                tracing::info!(%why, "the connection to Redis is replaced");
                *current = Current {
                    manager,
                    generation: current.generation + 1,
                    owes_since: None,
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

/// A client whose connections end when their host is gone without a word.
fn client(url: &str) -> RedisResult<Client> {
    let info = url.into_connection_info()?;
    let settings = TcpSettings::default();
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(UNACKNOWLEDGED);
    Client::open(info.set_tcp_settings(settings))
}

/// The server is no primary any more, or did not let us in; the manager makes a new connection for neither.
fn is_of_no_more_use(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed
            | ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
    ) || error.code() == Some("NOAUTH")
}

/// The next try is on another connection. Refused is something else: Redis is away, and trying again at once does not help.
fn is_better_tried_again(error: &RedisError) -> bool {
    let was_dropped = error.is_connection_dropped() && !error.is_connection_refusal();
    was_dropped || is_of_no_more_use(error)
}

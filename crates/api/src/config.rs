//! What the service is told by its environment. Read once, at the start.

use std::time::Duration;

use domain::Threshold;
use queue::QueueConfig;
use service::Address;
use settings::{Env, SettingError};
use store::StoreConfig;
use telemetry::http::server::Inbound;

use crate::auth::AuthConfig;
use crate::cors;

/// All settings of the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where to listen.
    pub address: Address,
    /// PostgreSQL.
    pub store: StoreConfig,
    /// Redis, and the queue in it.
    pub queue: QueueConfig,
    /// How the HTTP server behaves.
    pub http: HttpConfig,
    /// Who may call.
    pub(crate) auth: AuthConfig,
    /// How long a new order may wait before it is dispatched again.
    pub dispatch_grace: Duration,
    /// Above this amount an order is of high value.
    pub high_value: Threshold,
    /// Whether a caller's trace context is trusted.
    pub inbound: Inbound,
    /// How long the requests in flight may take to end.
    pub shutdown_timeout: Duration,
}

/// Limits of the HTTP server.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Threads that serve requests.
    pub workers: usize,
    /// How long an idle connection is kept. One that is not idle and gets nothing done goes after this and `request_timeout`.
    pub keep_alive: Duration,
    /// How long a request may take: its head, and again its body and its answer.
    pub request_timeout: Duration,
    /// The largest body, in bytes.
    pub body_limit: usize,
    /// Requests a second that one client may send to this replica.
    pub rate_limit: Option<u32>,
    /// Origins whose pages may call; `*` for any.
    pub allowed_origins: Vec<String>,
}

impl Config {
    /// Reads and checks every variable.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        // actix takes no more workers.
        let workers = 1..=512;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            address: Address::from_env(env, 8080)?,
            store: StoreConfig::from_env(env, "throughline-api")?,
            queue: QueueConfig::from_env(env, "orders")?,
            http: HttpConfig {
                workers: env.within("HTTP_WORKERS", cores.min(*workers.end()), workers)?,
                keep_alive: env.duration_or("HTTP_KEEP_ALIVE", Duration::from_secs(75))?,
                request_timeout: env.duration_or("HTTP_REQUEST_TIMEOUT", Duration::from_secs(10))?,
                body_limit: env.bytes_or("HTTP_BODY_LIMIT", 64 * 1024)?,
                rate_limit: rate_limit(env)?,
                allowed_origins: cors::origins(env)?,
            },
            auth: AuthConfig::from_env(env)?,
            dispatch_grace: env.duration_or("ORDER_DISPATCH_GRACE", Duration::from_secs(30))?,
            high_value: env.or(
                "HIGH_VALUE_THRESHOLD",
                Threshold::default(),
                "an amount such as 1000",
            )?,
            inbound: env.or("TRACE_INBOUND", Inbound::Parent, "parent, link or ignore")?,
            shutdown_timeout: env.duration_or("SHUTDOWN_TIMEOUT", Duration::from_secs(30))?,
        })
    }
}

fn rate_limit(env: &Env) -> Result<Option<u32>, SettingError> {
    match env.get("RATE_LIMIT_PER_SECOND") {
        None | Some("off") => Ok(None),
        Some(_) => env.within("RATE_LIMIT_PER_SECOND", 1, 1..=1_000_000).map(Some),
    }
}

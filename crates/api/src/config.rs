//! The settings of the service, read from the environment once at the start.

use std::time::Duration;

use domain::{Order, Threshold};
use queue::QueueConfig;
use service::Address;
use settings::{Env, SettingError};
use store::StoreConfig;
use telemetry::http::server::{Inbound, TrustedProxies};

use crate::auth::AuthConfig;
use crate::cors;
use crate::proxies;
use crate::trace_url::TraceUrl;

/// The lens of `cargo xtask up`, for TRACE_URL in development.
const LENS: &str = "http://127.0.0.1:8100/traces/{trace_id}";

/// All settings of the service.
#[derive(Debug, Clone)]
pub struct Config {
    /// HOST and PORT.
    pub address: Address,
    /// CONSOLE_PORT.
    pub console: Console,
    pub(crate) pages: PageSettings,
    /// DATABASE_*: PostgreSQL.
    pub store: StoreConfig,
    /// REDIS_URL and QUEUE_NAME.
    pub queue: QueueConfig,
    /// HTTP_*, RATE_LIMIT_PER_SECOND and CORS_ALLOWED_ORIGINS.
    pub http: HttpConfig,
    pub(crate) auth: AuthConfig,
    /// When a new order becomes due again if its job is lost.
    pub dispatch_grace: Duration,
    /// Orders above this amount are marked as of high value in telemetry.
    pub high_value: Threshold,
    /// Whether a client's trace context is trusted.
    pub inbound: Inbound,
    /// Upper bound for the requests in flight at shutdown.
    pub shutdown_timeout: Duration,
}

/// Where the pages are: the operators' console, and the API's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Console {
    /// Beside the API, on its port.
    WithApi,
    /// On this port alone, which also serves the API to the pages.
    Port(u16),
    /// Nowhere.
    Off,
}

/// What the console's pages show of their surroundings.
#[derive(Debug, Clone)]
pub(crate) struct PageSettings {
    /// ENVIRONMENT.
    pub(crate) environment: String,
    /// ORDER_MAX_ATTEMPTS and ORDER_MAX_CRASHES: the limits of the workers.
    pub(crate) max_attempts: i32,
    pub(crate) max_crashes: i32,
    /// Whether browsers send the session's cookie over TLS alone: outside development.
    pub(crate) secure: bool,
    /// TRACE_URL.
    pub(crate) trace_url: Option<TraceUrl>,
}

/// Limits of the HTTP server.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// Threads, 1 to 512.
    pub workers: usize,
    /// Connections of the process; more wait in the kernel.
    pub max_connections: usize,
    /// How long an idle connection stays open. A connection that is not idle but makes no progress is closed
    /// after this plus `request_timeout`.
    pub keep_alive: Duration,
    /// Limits the request head, and separately the body with the response.
    pub request_timeout: Duration,
    /// Maximum size of a body in bytes.
    pub body_limit: usize,
    /// Requests per second of one customer, at all replicas; of one address, at this one.
    pub rate_limit: Option<u32>,
    /// Open event streams and waits.
    pub event_streams: usize,
    /// Those of one customer.
    pub event_streams_per_customer: usize,
    pub(crate) trusted_proxies: TrustedProxies,
    /// Origins that may call from a browser; `*` for any.
    pub allowed_origins: Vec<String>,
}

impl Config {
    /// Reads and checks every variable.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        // The maximum of actix.
        let workers = 1..=512;
        let max_connections = env.within("HTTP_MAX_CONNECTIONS", 10_000, 1..=1_000_000)?;
        // PostgreSQL needs the other half, and fewer threads carry more orders a statement.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            address: Address::from_env(env, 8080)?,
            console: console(env)?,
            pages: PageSettings::from_env(env)?,
            store: StoreConfig::from_env(env, "throughline-api")?,
            queue: dispatch::queue_from_env(env)?,
            http: HttpConfig {
                workers: env.within("HTTP_WORKERS", cores.div_ceil(2).min(*workers.end()), workers)?,
                max_connections,
                keep_alive: env.duration_or("HTTP_KEEP_ALIVE", Duration::from_secs(75))?,
                request_timeout: env.duration_or("HTTP_REQUEST_TIMEOUT", Duration::from_secs(10))?,
                body_limit: env.bytes_or("HTTP_BODY_LIMIT", 64 * 1024)?,
                rate_limit: rate_limit(env)?,
                event_streams: env.within("EVENT_STREAMS_MAX", 20_000, 1..=1_000_000)?,
                event_streams_per_customer: env.within("EVENT_STREAMS_PER_CUSTOMER", 100, 1..=1_000_000)?,
                trusted_proxies: proxies::from_env(env)?,
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

impl PageSettings {
    fn from_env(env: &Env) -> Result<Self, SettingError> {
        let development = env.is_development();
        let trace_url = env.optional(
            "TRACE_URL",
            "a URL with {trace_id}, such as https://traces.example/{trace_id}",
        )?;
        Ok(Self {
            environment: env.get("ENVIRONMENT").unwrap_or("development").to_owned(),
            max_attempts: env.within("ORDER_MAX_ATTEMPTS", Order::MAX_ATTEMPTS, 1..=1000)?,
            max_crashes: env.within("ORDER_MAX_CRASHES", Order::MAX_CRASHES, 1..=1000)?,
            secure: !development,
            trace_url: trace_url.or_else(|| development.then(|| LENS.parse().ok()).flatten()),
        })
    }
}

fn rate_limit(env: &Env) -> Result<Option<u32>, SettingError> {
    match env.get("RATE_LIMIT_PER_SECOND") {
        None | Some("off") => Ok(None),
        Some(_) => env.within("RATE_LIMIT_PER_SECOND", 1, 1..=1_000_000).map(Some),
    }
}

fn console(env: &Env) -> Result<Console, SettingError> {
    let port = env.optional("CONSOLE_PORT", "a port, 0 to 65535")?;
    Ok(match port {
        Some(port) => Console::Port(port),
        None if env.is_development() => Console::WithApi,
        None => Console::Off,
    })
}

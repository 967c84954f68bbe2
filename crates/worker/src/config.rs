//! What the worker is told by its environment. Read once, at the start.

use std::time::Duration;

use domain::Threshold;
use queue::QueueConfig;
use service::Address;
use settings::{Env, SettingError};
use store::StoreConfig;
use telemetry::job::JobTrace;

/// All settings of the worker.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the health endpoints are.
    pub address: Address,
    /// PostgreSQL.
    pub store: StoreConfig,
    /// Redis, and the queue in it.
    pub queue: QueueConfig,
    /// The payment gateway; without one, orders that ask for a payment fail.
    pub gateway: Option<GatewayConfig>,
    /// How orders are processed.
    pub processing: ProcessingConfig,
    /// How processing belongs to the trace of the request.
    pub job_trace: JobTrace,
    /// How many orders are processed at the same time.
    pub concurrency: usize,
    /// How long the attempts in flight may take to end.
    pub shutdown_timeout: Duration,
}

/// The payment gateway, Stripe or one that speaks its wire format.
#[derive(Clone)]
pub struct GatewayConfig {
    /// Where it is, without `/v1`.
    pub url: reqwest::Url,
    /// Its secret key.
    pub key: String,
    /// How long a call may take.
    pub timeout: Duration,
}

/// The rules of an attempt.
#[derive(Debug, Clone)]
pub struct ProcessingConfig {
    /// How long a claim holds without being renewed.
    pub lease: Duration,
    /// How many attempts an order has.
    pub max_attempts: i32,
    /// Above this amount an order is validated once more.
    pub high_value: Threshold,
}

impl Config {
    /// Reads and checks every variable.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        Ok(Self {
            address: Address::from_env(env, 8081)?,
            store: StoreConfig {
                // WORKER_CONCURRENCY bounds them already, and nobody else would take a claim that is refused.
                max_waiting: usize::MAX,
                ..StoreConfig::from_env(env, "throughline-worker")?
            },
            queue: QueueConfig::from_env(env, "orders")?,
            gateway: gateway(env)?,
            processing: ProcessingConfig {
                lease: env.duration_or("ORDER_LEASE", Duration::from_secs(60))?,
                max_attempts: env.within("ORDER_MAX_ATTEMPTS", 8, 1..=1000)?,
                high_value: env.or(
                    "HIGH_VALUE_THRESHOLD",
                    Threshold::default(),
                    "an amount such as 1000",
                )?,
            },
            job_trace: env.or("JOB_TRACE", JobTrace::Parent, "parent or link")?,
            concurrency: env.within("WORKER_CONCURRENCY", 64, 1..=1024)?,
            shutdown_timeout: env.duration_or("SHUTDOWN_TIMEOUT", Duration::from_secs(30))?,
        })
    }
}

fn gateway(env: &Env) -> Result<Option<GatewayConfig>, SettingError> {
    const URL: &str = "PAYMENT_GATEWAY_URL";
    const TAKES: &str = "a URL: https://api.stripe.com";
    let Some(text) = env.get(URL) else {
        return Ok(None);
    };
    let url = reqwest::Url::parse(text).ok();
    let url = url
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
        .ok_or_else(|| SettingError::bad_url(URL, text, TAKES))?;
    Ok(Some(GatewayConfig {
        url,
        key: env.required(
            "PAYMENT_GATEWAY_KEY",
            "the gateway's secret key, where PAYMENT_GATEWAY_URL is set",
        )?,
        timeout: env.duration_or("PAYMENT_TIMEOUT", Duration::from_secs(10))?,
    }))
}

/// The key stays out of logs.
impl std::fmt::Debug for GatewayConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayConfig")
            .field("host", &self.url.host_str())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

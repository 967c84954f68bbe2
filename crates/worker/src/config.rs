//! The worker's settings: environment variables, read once at the start.

use std::num::NonZeroU32;
use std::time::Duration;

use domain::{Order, Threshold};
use queue::QueueConfig;
use service::Address;
use settings::{Env, SecretString, SettingError};
use store::StoreConfig;
use telemetry::job::JobTrace;

const MIN_LEASE: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(72 * 60 * 60);

/// All settings of the worker.
#[derive(Debug, Clone)]
pub struct Config {
    /// Address of the health endpoints.
    pub address: Address,
    /// PostgreSQL.
    pub store: StoreConfig,
    /// Redis.
    pub queue: QueueConfig,
    /// The payment gateway; without one, orders with a payment fail.
    pub gateway: Option<GatewayConfig>,
    /// The rules of an attempt.
    pub processing: ProcessingConfig,
    /// How an attempt's span relates to the span that sent its job.
    pub job_trace: JobTrace,
    /// Maximum number of orders processed at the same time.
    pub concurrency: usize,
    /// The leader deletes final orders that are older; it keeps all without it.
    pub retention: Option<Duration>,
    /// At shutdown, running attempts are abandoned after this time.
    pub shutdown_timeout: Duration,
}

/// The payment gateway: Stripe or a server with its wire format.
#[derive(Clone)]
pub struct GatewayConfig {
    /// Base URL, without `/v1`.
    pub url: reqwest::Url,
    /// Secret API key.
    pub key: SecretString,
    /// Timeout of a request.
    pub timeout: Duration,
    /// Maximum number of requests per second; unlimited without it.
    pub max_per_second: Option<u32>,
}

/// The rules of an attempt.
#[derive(Debug, Clone)]
pub struct ProcessingConfig {
    /// A claim expires after this time unless the lease is renewed.
    pub lease: Duration,
    /// Maximum number of attempts per order that fail for a reason of the order; an operator's retry starts
    /// the count again.
    pub max_attempts: i32,
    /// Maximum number of workers that die with an order, in a row.
    pub max_crashes: i32,
    /// Maximum time that an order waits for a payment gateway that is unavailable.
    pub payment_deadline: Duration,
    /// Orders above this amount are validated again before the charge.
    pub high_value: Threshold,
}

impl Config {
    /// Reads and validates every variable.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        Ok(Self {
            address: Address::from_env(env, 8081)?,
            store: StoreConfig {
                // WORKER_CONCURRENCY already bounds the waiting claims, and no other worker would take a
                // rejected one.
                max_waiting: usize::MAX,
                ..StoreConfig::from_env(env, "throughline-worker")?
            },
            queue: dispatch::queue_from_env(env)?,
            gateway: gateway(env)?,
            processing: ProcessingConfig {
                lease: lease(env)?,
                max_attempts: env.within("ORDER_MAX_ATTEMPTS", Order::MAX_ATTEMPTS, 1..=1000)?,
                max_crashes: env.within("ORDER_MAX_CRASHES", Order::MAX_CRASHES, 1..=1000)?,
                payment_deadline: env.duration_or("PAYMENT_DEADLINE", DEADLINE)?,
                high_value: env.or(
                    "HIGH_VALUE_THRESHOLD",
                    Threshold::default(),
                    "an amount such as 1000",
                )?,
            },
            job_trace: env.or("JOB_TRACE", JobTrace::Parent, "parent, link or first")?,
            concurrency: env.within("WORKER_CONCURRENCY", 64, 1..=1024)?,
            retention: env.retention("ORDER_RETENTION")?,
            shutdown_timeout: env.duration_or("SHUTDOWN_TIMEOUT", Duration::from_secs(30))?,
        })
    }
}

/// A shorter lease would be renewed all the time.
fn lease(env: &Env) -> Result<Duration, SettingError> {
    const NAME: &str = "ORDER_LEASE";
    let lease = env.duration_or(NAME, Duration::from_secs(60))?;
    if lease < MIN_LEASE {
        let got = env.get(NAME).unwrap_or_default();
        return Err(SettingError::bad(NAME, got, "a duration of 1s or more"));
    }
    Ok(lease)
}

fn gateway(env: &Env) -> Result<Option<GatewayConfig>, SettingError> {
    const URL: &str = "PAYMENT_GATEWAY_URL";
    const KEY: &str = "PAYMENT_GATEWAY_KEY";
    const TAKES: &str = "a URL: https://api.stripe.com";
    let key = env.secret(KEY)?;
    let timeout = env.duration_or("PAYMENT_TIMEOUT", Duration::from_secs(10))?;
    let max_per_second = env.optional("PAYMENT_MAX_PER_SECOND", "a number of requests, 1 or more")?;
    let Some(text) = env.get(URL) else {
        return Ok(None);
    };
    let url = reqwest::Url::parse(text).ok();
    let url = url
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.host().is_some())
        .ok_or_else(|| SettingError::bad_url(URL, text, TAKES))?;
    if url.scheme() == "http" {
        env.check_plaintext(URL, text, url.host_str().unwrap_or_default(), "https://")?;
    }
    Ok(Some(GatewayConfig {
        url,
        key: key.ok_or_else(|| {
            SettingError::missing(KEY, "the gateway's secret key, where PAYMENT_GATEWAY_URL is set")
        })?,
        timeout,
        max_per_second: max_per_second.map(NonZeroU32::get),
    }))
}

/// Leaves the URL out of logs: it may have a password.
impl std::fmt::Debug for GatewayConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GatewayConfig")
            .field("host", &self.url.host_str())
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_below_a_second_is_an_error_that_says_what_is_accepted() {
        let error = lease(&Env::of([("ORDER_LEASE", "500ms")])).unwrap_err();
        let expected = "ORDER_LEASE: got `500ms`; takes a duration of 1s or more";
        assert_eq!(error.to_string(), expected);
        assert_eq!(lease(&Env::of([("ORDER_LEASE", "1s")])), Ok(MIN_LEASE));
    }

    #[test]
    fn a_bad_value_is_an_error_also_without_a_gateway() {
        let key = ("PAYMENT_GATEWAY_KEY", "sk_test_1");
        let file = ("PAYMENT_GATEWAY_KEY_FILE", "/run/secrets/key");
        assert!(gateway(&Env::of([key, file])).is_err());
        for bad in [("PAYMENT_MAX_PER_SECOND", "0"), ("PAYMENT_TIMEOUT", "soon")] {
            assert!(gateway(&Env::of([bad])).is_err());
        }
        assert!(gateway(&Env::of([key])).is_ok_and(|gateway| gateway.is_none()));
    }

    #[test]
    fn outside_development_the_key_crosses_no_public_network_in_plain_text() {
        let read = |url| {
            gateway(&Env::of([
                ("ENVIRONMENT", "production"),
                ("PAYMENT_GATEWAY_URL", url),
                ("PAYMENT_GATEWAY_KEY", "sk_live_1"),
            ]))
        };
        let error = read("http://api.stripe.com").unwrap_err().to_string();
        assert!(
            error.starts_with("PAYMENT_GATEWAY_URL: got `http://***`; takes https://, as"),
            "{error}"
        );
        for url in [
            "https://api.stripe.com",
            "http://gateway:8090",
            "http://[::1]:8090",
        ] {
            assert!(read(url).is_ok(), "{url}");
        }
    }
}

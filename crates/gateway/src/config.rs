//! The sandbox's configuration, read from the environment once at startup.

use std::time::Duration;

use service::Address;
use settings::{Env, ExposeSecret, SecretString, SettingError};

/// The configuration of one sandbox.
#[derive(Debug, Clone)]
pub struct Config {
    pub(crate) address: Address,
    pub(crate) keys: AcceptedKeys,
    /// How long the result of an idempotency key is stored.
    pub(crate) key_ttl: Duration,
    pub(crate) shutdown_timeout: Duration,
}

/// Stripe stores results for "at least 24 hours". <https://docs.stripe.com/api/idempotent_requests>
const KEY_TTL: Duration = Duration::from_secs(24 * 60 * 60);

/// Which API keys the sandbox accepts.
#[derive(Debug, Clone)]
pub(crate) enum AcceptedKeys {
    /// Any key in the form of Stripe's test keys: `sk_test_` and at least one more character.
    AnyTestKey,
    /// Exactly this key.
    Only(SecretString),
}

impl Config {
    /// Reads HOST, PORT, PAYMENT_GATEWAY_KEY (or its file), SANDBOX_KEY_TTL and SHUTDOWN_TIMEOUT.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        Ok(Self {
            address: Address::from_env(env, 8090)?,
            keys: accepted_keys(env)?,
            key_ttl: env.duration_or("SANDBOX_KEY_TTL", KEY_TTL)?,
            shutdown_timeout: env.duration_or("SHUTDOWN_TIMEOUT", Duration::from_secs(30))?,
        })
    }

    /// For tests: a free port of 127.0.0.1, any test key.
    pub fn local() -> Self {
        Self {
            address: Address {
                host: "127.0.0.1".to_owned(),
                port: 0,
            },
            keys: AcceptedKeys::AnyTestKey,
            key_ttl: KEY_TTL,
            shutdown_timeout: Duration::from_secs(5),
        }
    }

    /// Accepts exactly this API key.
    #[must_use]
    pub fn with_key(mut self, key: &str) -> Self {
        self.keys = AcceptedKeys::Only(key.into());
        self
    }

    /// Stores the result of an idempotency key for this time.
    #[must_use]
    pub fn with_key_ttl(mut self, ttl: Duration) -> Self {
        self.key_ttl = ttl;
        self
    }
}

fn accepted_keys(env: &Env) -> Result<AcceptedKeys, SettingError> {
    const NAME: &str = "PAYMENT_GATEWAY_KEY";
    match env.secret(NAME)? {
        None => Ok(AcceptedKeys::AnyTestKey),
        Some(key) if key.expose_secret().bytes().all(|byte| byte.is_ascii_graphic()) => {
            Ok(AcceptedKeys::Only(key))
        }
        Some(_) => Err(SettingError::bad_secret(NAME, "visible ASCII characters")),
    }
}

impl AcceptedKeys {
    pub(crate) fn accept(&self, key: &str) -> bool {
        match self {
            Self::AnyTestKey => key.strip_prefix("sk_test_").is_some_and(|rest| !rest.is_empty()),
            Self::Only(only) => key == only.expose_secret(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_as_documented() {
        let config = Config::from_env(&Env::of([])).unwrap();
        let Address { host, port } = &config.address;
        assert_eq!((host.as_str(), *port), ("127.0.0.1", 8090));
        assert_eq!(config.key_ttl, Duration::from_secs(86_400));
        assert_eq!(config.shutdown_timeout, Duration::from_secs(30));
        assert!(config.keys.accept("sk_test_anything"));
        assert!(!config.keys.accept("sk_test_"));
        assert!(!config.keys.accept("sk_live_anything"));
    }

    #[test]
    fn a_configured_key_is_the_only_one_accepted_and_is_never_printed() {
        let config = Config::from_env(&Env::of([("PAYMENT_GATEWAY_KEY", "sk_test_ours")])).unwrap();
        assert!(config.keys.accept("sk_test_ours"));
        assert!(!config.keys.accept("sk_test_theirs"));
        assert!(!format!("{config:?}").contains("sk_test_ours"));
    }

    #[test]
    fn a_bad_value_names_its_variable() {
        let error = Config::from_env(&Env::of([("PORT", "http")])).unwrap_err();
        assert_eq!(error.to_string(), "PORT: got `http`; takes a port, 0 to 65535");
        let error = Config::from_env(&Env::of([("PAYMENT_GATEWAY_KEY", "sk test")])).unwrap_err();
        assert!(!error.to_string().contains("sk test"));
    }
}

//! Connection settings of one queue.

use std::time::Duration;

use redis::{ConnectionAddr, IntoConnectionInfo};
use settings::{Env, ExposeSecret, SecretString, SettingError};

use crate::error::QueueError;

const NAME_TAKES: &str = "1 to 64 letters, digits, `-`, `_` or `.`";

/// Connection settings of one queue.
#[derive(Debug, Clone)]
pub struct QueueConfig {
    /// `redis://` or, for TLS, `rediss://`, as redis-rs reads it: `redis://user:password@host:port/database`.
    pub redis_url: SecretString,
    /// The queue's name: the prefix of all its keys. 1 to 64 letters, digits, `-`, `_` or `.`.
    pub name: String,
    /// Response timeout of a command; default 5 s. With redis-rs' default of 500 ms every short stall ends a
    /// worker.
    pub response_timeout: Duration,
    /// Connect timeout, per attempt; default 2 s. A call fails after two attempts.
    pub connect_timeout: Duration,
}

impl QueueConfig {
    /// The settings for a queue, with the default timeouts.
    pub fn new(redis_url: impl Into<SecretString>, name: impl Into<String>) -> Self {
        Self {
            redis_url: redis_url.into(),
            name: name.into(),
            response_timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(2),
        }
    }

    /// Reads REDIS_URL or REDIS_URL_FILE, and QUEUE_NAME, by default `default_name`. Outside development,
    /// `redis://` is for servers in a private network.
    pub fn from_env(env: &Env, default_name: &str) -> Result<Self, SettingError> {
        const URL: &str = "REDIS_URL";
        const TAKES: &str = "a URL: redis://host:6379, or rediss:// for TLS";
        let secret = env
            .secret(URL)?
            .ok_or_else(|| SettingError::missing(URL, TAKES))?;
        let url = secret.expose_secret();
        let info = url
            .into_connection_info()
            .map_err(|_| SettingError::bad_url(URL, url, TAKES))?;
        if let ConnectionAddr::Tcp(host, _) = info.addr() {
            env.check_plaintext(URL, url, host, "rediss://")?;
        }
        let name = env.get("QUEUE_NAME").unwrap_or(default_name);
        let config = Self::new(secret, name);
        match config.validate() {
            Ok(()) => Ok(config),
            Err(_) => Err(SettingError::bad("QUEUE_NAME", name, NAME_TAKES)),
        }
    }

    /// A `:` in a name could make the keys of two queues the same.
    pub(crate) fn validate(&self) -> Result<(), QueueError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if (1..=64).contains(&self.name.len()) && self.name.chars().all(allowed) {
            Ok(())
        } else {
            Err(QueueError::InvalidName(self.name.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_be_another_queues_key_is_invalid() {
        let is_valid = |name: &str| QueueConfig::new("redis://h", name).validate().is_ok();
        for name in ["", "orders:meta", "or ders", "{orders}", &"x".repeat(65)] {
            assert!(!is_valid(name), "{name:?}");
        }
        assert!(is_valid("orders-2.eu_west"));
    }

    #[test]
    fn a_bad_variable_is_named_with_what_it_takes() {
        let read = |url, name| {
            let env = Env::of([("REDIS_URL", url), ("QUEUE_NAME", name)]);
            QueueConfig::from_env(&env, "orders")
        };
        assert_eq!(read("redis://h", "").unwrap().name, "orders");
        assert_eq!(
            read("redis://h", "a:b").unwrap_err().to_string(),
            "QUEUE_NAME: got `a:b`; takes 1 to 64 letters, digits, `-`, `_` or `.`"
        );
        assert_eq!(
            read("http://:secret@h", "").unwrap_err().to_string(),
            "REDIS_URL: got `http://***`; takes a URL: redis://host:6379, or rediss:// for TLS"
        );
    }

    #[test]
    fn outside_development_a_public_server_needs_tls() {
        let read = |url| {
            let env = Env::of([("ENVIRONMENT", "production"), ("REDIS_URL", url)]);
            QueueConfig::from_env(&env, "orders")
        };
        let error = read("redis://:secret@cache.example.com").unwrap_err().to_string();
        assert!(
            error.starts_with("REDIS_URL: got `redis://***`; takes rediss://, as"),
            "{error}"
        );
        for url in [
            "rediss://cache.example.com",
            "redis://redis",
            "redis+unix:///run/redis.sock",
        ] {
            assert!(read(url).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_password_is_not_printed() {
        let config = QueueConfig::new("redis://:secret@127.0.0.1", "orders");
        assert!(!format!("{config:?}").contains("secret"));
    }
}

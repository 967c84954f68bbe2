//! The queue's settings from environment variables.

use queue::QueueConfig;
use redis::{ConnectionAddr, IntoConnectionInfo};
use settings::{Env, ExposeSecret, SettingError};

/// The queue of the orders' jobs, from REDIS_URL or REDIS_URL_FILE, and QUEUE_NAME, by default `orders`.
/// Outside development, `redis://` is for servers in a private network.
///
/// # Errors
/// A variable is missing or has a value that is not accepted.
pub fn queue_from_env(env: &Env) -> Result<QueueConfig, SettingError> {
    const URL: &str = "REDIS_URL";
    const URL_TAKES: &str = "a URL: redis://host:6379, or rediss:// for TLS";
    const NAME: &str = "QUEUE_NAME";
    const NAME_TAKES: &str = "1 to 64 letters, digits, `-`, `_` or `.`";
    let secret = env
        .secret(URL)?
        .ok_or_else(|| SettingError::missing(URL, URL_TAKES))?;
    let url = secret.expose_secret();
    let info = url
        .into_connection_info()
        .map_err(|_| SettingError::bad_url(URL, url, URL_TAKES))?;
    if let ConnectionAddr::Tcp(host, _) = info.addr() {
        env.check_plaintext(URL, url, host, "rediss://")?;
    }
    let name = env.get(NAME).unwrap_or("orders");
    let config = QueueConfig::new(url, name);
    match config.validate() {
        Ok(()) => Ok(config),
        Err(_) => Err(SettingError::bad(NAME, name, NAME_TAKES)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_variable_is_named_with_what_it_takes() {
        let read = |url, name| {
            let env = Env::of([("REDIS_URL", url), ("QUEUE_NAME", name)]);
            queue_from_env(&env)
        };
        assert_eq!(read("redis://h", "").unwrap().name(), "orders");
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
            queue_from_env(&env)
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
}

//! A cache of the keys that an issuer publishes (RFC 7517). A cached key is used without waiting: old keys
//! are refreshed in the background. An unknown key id waits for one fetch. Fetches do not overlap and have a
//! minimum interval, so made-up key ids cannot make this service flood the issuer. While the issuer is
//! unavailable, keys are used until they are 24 hours old: a key that was withdrawn meanwhile is not known.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use jsonwebtoken::jwk::Jwk;
use opentelemetry::trace::FutureExt;
use reqwest::redirect::Policy;
use reqwest::{StatusCode, Url};
use serde::Deserialize;
use telemetry::http::client::Client;
use tokio::sync::watch;
use tokio::time::Instant;

use super::error::{AuthError, Flaw};
use super::key::Key;

/// From the end of a fetch to the start of the next.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(5);
/// Name of the event.
const KEYS_EXPIRED: &str = "auth.keys_expired";
/// Keys of this age are used no longer.
const MAX_AGE: Duration = Duration::from_secs(24 * 60 * 60);
/// Keys of this age are refreshed in the background. At twice this age they are only used while the issuer is
/// unavailable.
const REFRESH_AGE: Duration = Duration::from_secs(600);
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// In bytes.
const MAX_DOCUMENT_SIZE: usize = 256 * 1024;

/// By key id; several keys may have none.
type Keys = HashMap<Option<String>, Vec<Key>>;

pub(super) struct Jwks(Arc<Shared>);

struct Shared {
    url: Url,
    plain: reqwest::Client,
    client: Client,
    refresh_age: Duration,
    state: Mutex<State>,
    /// Incremented at the end of each fetch.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    cached: Option<Cached>,
    fetching: bool,
    last_fetch: Option<LastFetch>,
}

struct Cached {
    keys: Keys,
    fetched_at: Instant,
}

#[derive(Clone, Copy)]
struct LastFetch {
    ended_at: Instant,
    failed: bool,
}

/// Keys are parsed one by one: an unsupported key does not invalidate the others.
#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

/// None contains the URL, which may hold a password or a key.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("JWT_JWKS_URL cannot be fetched")]
    Http(#[source] reqwest::Error),
    #[error("the response of JWT_JWKS_URL is {0}")]
    Status(StatusCode),
    #[error("the response of JWT_JWKS_URL has more than {MAX_DOCUMENT_SIZE} bytes")]
    TooLarge,
    #[error("the response of JWT_JWKS_URL is not a JWK set")]
    NoJwks(#[from] serde_json::Error),
}

impl From<reqwest::Error> for FetchError {
    fn from(error: reqwest::Error) -> Self {
        Self::Http(error.without_url())
    }
}

impl State {
    /// The keys, unless they are too old. Then they are forgotten, and each request says that it cannot be
    /// checked until the issuer is available again.
    fn usable(&mut self) -> Option<&Cached> {
        if self
            .cached
            .as_ref()
            .is_some_and(|cached| cached.fetched_at.elapsed() >= MAX_AGE)
        {
            self.cached = None;
            tracing::error!(
                name: KEYS_EXPIRED,
                "the keys of JWT_JWKS_URL are {MAX_AGE:?} old and used no longer: no token is accepted"
            );
        }
        self.cached.as_ref()
    }
}

impl Jwks {
    pub(super) fn new(url: &str) -> anyhow::Result<Self> {
        Self::with(url, REFRESH_AGE)
    }

    fn with(url: &str, refresh_age: Duration) -> anyhow::Result<Self> {
        let plain = reqwest::Client::builder()
            .timeout(FETCH_TIMEOUT)
            // A redirect could lead to plain text, or to a server that is not the issuer's.
            .redirect(Policy::none())
            .build()
            .context("cannot make an HTTP client for JWT_JWKS_URL")?;
        Ok(Self(Arc::new(Shared {
            url: url.parse().context("JWT_JWKS_URL is not a URL")?,
            client: Client::new(plain.clone()),
            plain,
            refresh_age,
            state: Mutex::default(),
            ended: watch::Sender::new(0),
        })))
    }

    /// The keys with this id, at least one.
    pub(super) async fn keys(&self, id: Option<&str>) -> Result<Vec<Key>, AuthError> {
        let id = id.map(str::to_owned);
        if let Some(keys) = self.0.cached(&id) {
            return Ok(keys);
        }
        if let Some(mut ended) = self.0.start_fetch() {
            // Does not fail: `self` has the sender.
            let _ = ended.changed().await;
        }
        // While the issuer is unavailable, old keys are used.
        match self.0.state().usable() {
            Some(cached) => cached
                .keys
                .get(&id)
                .cloned()
                .ok_or(AuthError::Invalid(Flaw::UnknownKey)),
            None => Err(AuthError::KeysUnavailable),
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys that can be used without waiting. Starts a refresh in the background if they are old.
    fn cached(self: &Arc<Self>, id: &Option<String>) -> Option<Vec<Key>> {
        let mut state = self.state();
        let cached = state.usable()?;
        let keys = cached.keys.get(id)?.clone();
        let age = cached.fetched_at.elapsed();
        let issuer_unavailable = state.last_fetch.is_some_and(|last| last.failed);
        drop(state);
        if age < self.refresh_age {
            return Some(keys);
        }
        if issuer_unavailable || age < self.refresh_age * 2 {
            self.start_fetch();
            return Some(keys);
        }
        None
    }

    /// Starts a fetch unless one is running; the receiver changes at its end. `None` within
    /// [`MIN_REFRESH_INTERVAL`] of the last fetch.
    fn start_fetch(self: &Arc<Self>) -> Option<watch::Receiver<u64>> {
        let mut state = self.state();
        if !state.fetching {
            if state
                .last_fetch
                .is_some_and(|last| last.ended_at.elapsed() < MIN_REFRESH_INTERVAL)
            {
                return None;
            }
            state.fetching = true;
            let fetch = Fetch(Arc::clone(self));
            // In the trace of the request that started it. A task, because other requests may wait for it
            // when that one ends.
            tokio::spawn(async move { fetch.run().await }.with_current_context());
        }
        Some(self.ended.subscribe())
    }

    async fn fetch(&self) -> Result<Keys, FetchError> {
        let request = self.plain.get(self.url.clone()).build()?;
        let mut response = self.client.execute(request).await?;
        if !response.status().is_success() {
            return Err(FetchError::Status(response.status()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_DOCUMENT_SIZE {
                return Err(FetchError::TooLarge);
            }
        }
        let document: Document = serde_json::from_slice(&body)?;
        let mut keys = Keys::new();
        for jwk in document.keys {
            if let Ok(jwk) = serde_json::from_value::<Jwk>(jwk)
                && let Some(key) = Key::from_jwk(&jwk)
            {
                keys.entry(jwk.common.key_id).or_default().push(key);
            }
        }
        Ok(keys)
    }
}

/// A running fetch. Reports its end when dropped, so also after a panic.
struct Fetch(Arc<Shared>);

impl Fetch {
    async fn run(self) {
        match self.0.fetch().await {
            Ok(keys) => {
                tracing::info!("fetched JWT_JWKS_URL: {} keys", keys.len());
                let fetched_at = Instant::now();
                let mut state = self.0.state();
                state.cached = Some(Cached { keys, fetched_at });
                state.last_fetch = Some(LastFetch {
                    ended_at: fetched_at,
                    failed: false,
                });
                state.fetching = false;
            }
            Err(error) => telemetry::log_warn!(error, "cannot refresh the keys of JWT_JWKS_URL"),
        }
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        let mut state = self.0.state();
        // Still set unless it succeeded.
        if state.fetching {
            state.fetching = false;
            state.last_fetch = Some(LastFetch {
                ended_at: Instant::now(),
                failed: true,
            });
        }
        drop(state);
        self.0.ended.send_modify(|ended| *ended += 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    const KEYS: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"old","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

    async fn requested(issuer: &TcpListener) -> TcpStream {
        let (mut stream, _) = issuer.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream
    }

    /// An issuer that sends one response, and the result of the first request for the key `old`. Keys are
    /// refreshed as soon as they are fetched.
    async fn after(response: &str) -> (TcpListener, Jwks, Result<Vec<Key>, AuthError>) {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let issuer = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys?key=s3cret", issuer.local_addr().unwrap());
        let jwks = Jwks::with(&url, Duration::ZERO).unwrap();
        let (first, ()) = tokio::join!(jwks.keys(Some("old")), async {
            let mut stream = requested(&issuer).await;
            stream.write_all(response.as_bytes()).await.unwrap();
        });
        (issuer, jwks, first)
    }

    fn keys() -> String {
        let length = KEYS.len();
        format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{KEYS}")
    }

    #[tokio::test]
    async fn a_redirect_is_not_followed() {
        let elsewhere = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let location = elsewhere.local_addr().unwrap();
        let head = format!("HTTP/1.1 302 Found\r\nlocation: http://{location}/");
        let response = format!("{head}\r\ncontent-length: 0\r\n\r\n");
        tokio::select! {
            (_, _, first) = after(&response) => {
                assert_eq!(first.err(), Some(AuthError::KeysUnavailable));
            }
            _ = elsewhere.accept() => panic!("followed"),
        }
    }

    #[tokio::test]
    async fn an_error_does_not_contain_the_url() {
        let (issuer, jwks, _) = after(&keys()).await;
        drop(issuer);
        let error = jwks.0.fetch().await.err().unwrap();
        let message = telemetry::exception::message(&error);
        assert!(
            message.starts_with("JWT_JWKS_URL cannot be fetched: "),
            "{message}"
        );
        assert!(!message.contains("s3cret"), "{message}");
    }

    #[tokio::test]
    async fn keys_are_used_for_a_day_while_the_issuer_is_unavailable() {
        let (issuer, jwks, first) = after(&keys()).await;
        assert_eq!(first.map_err(|_| ()).map(|keys| keys.len()), Ok(1));
        drop(issuer);
        tokio::time::pause();
        tokio::time::advance(MAX_AGE - Duration::from_secs(60)).await;
        assert!(jwks.keys(Some("old")).await.is_ok());
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(
            jwks.keys(Some("old")).await.err(),
            Some(AuthError::KeysUnavailable)
        );
    }

    #[tokio::test]
    async fn cached_keys_are_used_while_the_issuer_stalls() {
        let (issuer, jwks, first) = after(&keys()).await;
        assert_eq!(first.unwrap_or_default().len(), 1);

        // The minimum interval is over; the issuer accepts the connection and never responds.
        let long_ago = Instant::now().checked_sub(MIN_REFRESH_INTERVAL).unwrap();
        jwks.0.state().last_fetch = Some(LastFetch {
            ended_at: long_ago,
            failed: true,
        });
        for _ in 0..3 {
            let keys = jwks.keys(Some("old")).now_or_never();
            assert!(keys.is_some_and(|keys| keys.is_ok()));
        }
        let _stalled = requested(&issuer).await;
        assert!(jwks.0.state().fetching);
        assert!(jwks.keys(Some("new")).now_or_never().is_none());
        assert!(issuer.accept().now_or_never().is_none());
    }
}

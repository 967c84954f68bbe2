//! The keys that an issuer publishes (RFC 7517), cached. A known key never waits for the issuer: keys of a certain age are fetched
//! anew while they serve on. A token with a key that is not known waits for one fetch; there is one at a time, and a pause after it,
//! so whoever sends made-up key ids cannot use this service to flood the issuer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context;
use jsonwebtoken::jwk::Jwk;
use opentelemetry::trace::FutureExt;
use reqwest::Url;
use serde::Deserialize;
use telemetry::http::client::Client;
use tokio::sync::watch;
use tokio::time::Instant;

use super::Refusal;
use super::key::Key;

/// From the end of a fetch to the start of the next.
const FLOOR: Duration = Duration::from_secs(5);
/// Keys of this age are fetched anew. Those of twice this age serve on only where that fails.
const MAX_AGE: Duration = Duration::from_secs(600);
const TIMEOUT: Duration = Duration::from_secs(5);
/// No issuer's keys need more, in bytes.
const MAX_SIZE: usize = 256 * 1024;

/// By their id; several may go without one.
type Keys = HashMap<Option<String>, Vec<Key>>;

pub(super) struct Jwks(Arc<Shared>);

struct Shared {
    url: Url,
    plain: reqwest::Client,
    client: Client,
    max_age: Duration,
    state: Mutex<State>,
    /// Counts the fetches that have ended.
    ended: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    known: Option<Known>,
    fetching: bool,
    last: Option<Fetched>,
}

struct Known {
    keys: Keys,
    since: Instant,
}

/// A fetch that has ended.
#[derive(Clone, Copy)]
struct Fetched {
    at: Instant,
    failed: bool,
}

/// One by one: a key that cannot be read does not spoil the others.
#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("JWT_JWKS_URL cannot be fetched")]
    Http(#[from] reqwest::Error),
    #[error("the answer of JWT_JWKS_URL has more than {MAX_SIZE} bytes")]
    TooLarge,
    #[error("the answer of JWT_JWKS_URL is no JWK set")]
    NoJwks(#[from] serde_json::Error),
}

impl Jwks {
    pub(super) fn new(url: &str) -> anyhow::Result<Self> {
        Self::with(url, MAX_AGE)
    }

    fn with(url: &str, max_age: Duration) -> anyhow::Result<Self> {
        let plain = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .build()
            .context("cannot make an HTTP client for JWT_JWKS_URL")?;
        Ok(Self(Arc::new(Shared {
            url: url.parse().context("JWT_JWKS_URL is no URL")?,
            client: Client::new(plain.clone()),
            plain,
            max_age,
            state: Mutex::default(),
            ended: watch::Sender::new(0),
        })))
    }

    /// The keys of this id, at least one.
    pub(super) async fn keys(&self, id: Option<&str>) -> Result<Vec<Key>, Refusal> {
        let id = id.map(str::to_owned);
        if let Some(keys) = self.0.at_once(&id) {
            return Ok(keys);
        }
        if let Some(mut ended) = self.0.fetch_once() {
            // Its sender is `self`'s, so it cannot be gone.
            let _ = ended.changed().await;
        }
        // Where the issuer is away, old keys serve on.
        match &self.0.state().known {
            Some(known) => known
                .keys
                .get(&id)
                .cloned()
                .ok_or(Refusal::Invalid("The token is signed with an unknown key")),
            None => Err(Refusal::Unknown),
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The keys that need not wait for a fetch. It may begin behind their back.
    fn at_once(self: &Arc<Self>, id: &Option<String>) -> Option<Vec<Key>> {
        let state = self.state();
        let known = state.known.as_ref()?;
        let keys = known.keys.get(id)?.clone();
        let age = known.since.elapsed();
        let issuer_is_away = state.last.is_some_and(|last| last.failed);
        drop(state);
        if age < self.max_age {
            return Some(keys);
        }
        if issuer_is_away || age < self.max_age * 2 {
            self.fetch_once();
            return Some(keys);
        }
        None
    }

    /// The fetch that is under way, or begins now; it tells of its end. `None` within [`FLOOR`] of the last.
    fn fetch_once(self: &Arc<Self>) -> Option<watch::Receiver<u64>> {
        let mut state = self.state();
        if !state.fetching {
            if state.last.is_some_and(|last| last.at.elapsed() < FLOOR) {
                return None;
            }
            state.fetching = true;
            let fetch = Fetch(Arc::clone(self));
            // In the trace of who asked; it goes on where that request is given up, for whoever else waits.
            tokio::spawn(async move { fetch.run().await }.with_current_context());
        }
        Some(self.ended.subscribe())
    }

    async fn fetch(&self) -> Result<Keys, FetchError> {
        let request = self.plain.get(self.url.clone()).build()?;
        let mut answer = self.client.execute(request).await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_SIZE {
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

/// A fetch under way. It tells of its end however it ends.
struct Fetch(Arc<Shared>);

impl Fetch {
    async fn run(self) {
        match self.0.fetch().await {
            Ok(keys) => {
                tracing::info!(ids = keys.len(), "fetched JWT_JWKS_URL");
                let since = Instant::now();
                let mut state = self.0.state();
                state.known = Some(Known { keys, since });
                state.last = Some(Fetched {
                    at: since,
                    failed: false,
                });
                state.fetching = false;
            }
            Err(error) => telemetry::log_warn!(error, "the keys of JWT_JWKS_URL are not renewed"),
        }
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        let mut state = self.0.state();
        // Still set unless it succeeded.
        if state.fetching {
            state.fetching = false;
            state.last = Some(Fetched {
                at: Instant::now(),
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

    async fn asked(issuer: &TcpListener) -> TcpStream {
        let (mut stream, _) = issuer.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await.unwrap();
        stream
    }

    #[tokio::test]
    async fn an_issuer_that_stalls_does_not_stop_the_keys_that_are_known() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let issuer = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", issuer.local_addr().unwrap());
        // Every key is old at once.
        let jwks = Jwks::with(&url, Duration::ZERO).unwrap();
        let length = KEYS.len();
        let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{KEYS}");
        let (first, ()) = tokio::join!(jwks.keys(Some("old")), async {
            let mut stream = asked(&issuer).await;
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        assert_eq!(first.unwrap_or_default().len(), 1);

        // The pause is over, and the issuer takes the connection and never answers.
        let long_ago = Instant::now().checked_sub(FLOOR).unwrap();
        jwks.0.state().last = Some(Fetched {
            at: long_ago,
            failed: true,
        });
        for _ in 0..3 {
            let at_once = jwks.keys(Some("old")).now_or_never();
            assert!(at_once.is_some_and(|keys| keys.is_ok()));
        }
        let _stalled = asked(&issuer).await;
        assert!(jwks.0.state().fetching);
        assert!(jwks.keys(Some("new")).now_or_never().is_none());
        assert!(issuer.accept().now_or_never().is_none());
    }
}

//! The keys that an issuer publishes (RFC 7517), cached. A token with a key that is not known yet makes a fetch, but never more than
//! one in [`FLOOR`]: whoever sends made-up key ids cannot use this service to flood the issuer.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use anyhow::{Context, bail};
use jsonwebtoken::jwk::Jwk;
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::Refusal;
use super::key::Key;

/// At most one fetch in this time.
const FLOOR: Duration = Duration::from_secs(5);
/// Keys that were withdrawn are forgotten after this.
const MAX_AGE: Duration = Duration::from_secs(600);
const TIMEOUT: Duration = Duration::from_secs(5);
/// No issuer's keys need more, in bytes.
const MAX_SIZE: usize = 256 * 1024;

type Keys = HashMap<Option<String>, Key>;

pub(super) struct Jwks {
    url: String,
    client: reqwest::Client,
    known: RwLock<Option<Known>>,
    /// When the last fetch began; held during one, so that others wait for its answer.
    fetched: Mutex<Option<Instant>>,
}

#[derive(Clone)]
struct Known {
    keys: Arc<Keys>,
    since: Instant,
}

/// One by one: a key that cannot be read does not spoil the others.
#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

impl Jwks {
    pub(super) fn new(url: String) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .build()
            .context("cannot make an HTTP client for JWT_JWKS_URL")?;
        Ok(Self {
            url,
            client,
            known: RwLock::new(None),
            fetched: Mutex::new(None),
        })
    }

    /// The key of this id.
    pub(super) async fn key(&self, id: Option<&str>) -> Result<Key, Refusal> {
        let id = id.map(str::to_owned);
        if let Some(key) = self.fresh(&id) {
            return Ok(key);
        }
        let mut fetched = self.fetched.lock().await;
        // Whoever held the lock may have found it.
        if let Some(key) = self.fresh(&id) {
            return Ok(key);
        }
        if fetched.is_none_or(|at| at.elapsed() >= FLOOR) {
            *fetched = Some(Instant::now());
            match self.fetch().await {
                Ok(keys) => self.remember(keys),
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "cannot fetch JWT_JWKS_URL");
                }
            }
        }
        // Where the issuer is away, old keys serve on.
        match self.known() {
            Some(known) => known
                .keys
                .get(&id)
                .cloned()
                .ok_or(Refusal::Invalid("The token is signed with an unknown key")),
            None => Err(Refusal::Unknown),
        }
    }

    fn fresh(&self, id: &Option<String>) -> Option<Key> {
        let known = self
            .known()
            .filter(|known| known.since.elapsed() < MAX_AGE)?;
        known.keys.get(id).cloned()
    }

    fn known(&self) -> Option<Known> {
        self.known
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn remember(&self, keys: Keys) {
        let known = Known {
            keys: Arc::new(keys),
            since: Instant::now(),
        };
        *self.known.write().unwrap_or_else(PoisonError::into_inner) = Some(known);
    }

    async fn fetch(&self) -> anyhow::Result<Keys> {
        let answer = self.client.get(&self.url).send().await?;
        let mut answer = answer.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_SIZE {
                bail!("the answer has more than {MAX_SIZE} bytes");
            }
        }
        let document: Document =
            serde_json::from_slice(&body).context("the answer is no JWK set")?;
        let jwks = document.keys.into_iter();
        let jwks = jwks.filter_map(|jwk| serde_json::from_value::<Jwk>(jwk).ok());
        let keys: Keys = jwks
            .filter_map(|jwk| Some((jwk.common.key_id.clone(), Key::from_jwk(&jwk)?)))
            .collect();
        tracing::info!(keys = keys.len(), "fetched JWT_JWKS_URL");
        Ok(keys)
    }
}

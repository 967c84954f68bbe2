//! The address of the control room and its secrets: known before the stack starts, because lens links to it.

use std::net::{Ipv4Addr, TcpListener};

use actix_web::http::Method;
use actix_web::http::header::{self, HeaderMap, HeaderValue};
use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::{SecureRandom, SystemRandom};
use subtle::ConstantTimeEq;

const RANDOM_BYTES: usize = 32;

/// The address of a control room that does not run yet.
#[derive(Debug)]
pub struct Door {
    pub(crate) listener: TcpListener,
    pub(crate) keys: Keys,
    port: u16,
}

/// The secrets of a run.
pub(crate) struct Keys {
    /// In the address that `up` prints.
    token: String,
    /// In the cookie.
    session: String,
    /// In every form.
    pub(super) csrf: String,
    /// Cookies do not know ports: another stack has another one.
    cookie: String,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keys")
    }
}

impl Door {
    /// Listens on this port of 127.0.0.1 (`None`: any free one), and makes the secrets.
    ///
    /// # Errors
    /// When the port is in use.
    pub fn open(port: Option<u16>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0)));
        let port = port.unwrap_or_default();
        let listener = listener
            .with_context(|| format!("port {port} on 127.0.0.1 is in use, and the control room needs it"))?;
        let port = listener.local_addr()?.port();
        let keys = Keys {
            token: random()?,
            session: random()?,
            csrf: random()?,
            cookie: format!("system-{port}"),
        };
        Ok(Self { listener, keys, port })
    }

    /// The address without the token, for links: `http://127.0.0.1:8110`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The address to open first, with the token, which permits everything.
    #[must_use]
    pub fn entrance(&self) -> String {
        format!("{}/?token={}", self.url(), self.keys.token)
    }
}

/// 256 random bits as base64url.
fn random() -> anyhow::Result<String> {
    let mut bytes = [0; RANDOM_BYTES];
    let drawn = SystemRandom::new().fill(&mut bytes);
    drawn.ok().context("the system has no random numbers")?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

impl Keys {
    /// Whether the cookie, or the token in a header, is that of the run. Only reading works by the header.
    pub(super) fn admits(&self, method: &Method, headers: &HeaderMap) -> bool {
        let cookies = headers
            .get_all(header::COOKIE)
            .filter_map(|value| value.to_str().ok());
        let mut pairs = cookies
            .flat_map(|value| value.split(';'))
            .filter_map(|pair| pair.trim().split_once('='));
        if pairs.any(|(name, value)| name == self.cookie && equal(value, &self.session)) {
            return true;
        }
        let bearer = headers.get(header::AUTHORIZATION);
        let token = bearer
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        method == Method::GET && token.is_some_and(|token| equal(token, &self.token))
    }

    /// The token in exchange for a cookie.
    pub(super) fn exchange(&self, query: &str) -> Option<HeaderValue> {
        let token = query.split('&').find_map(|pair| pair.strip_prefix("token="))?;
        if !equal(token, &self.token) {
            return None;
        }
        let cookie = format!(
            "{}={}; Path=/; HttpOnly; SameSite=Strict",
            self.cookie, self.session
        );
        HeaderValue::try_from(cookie).ok()
    }

    /// Whether a form is of a page of this run.
    pub(super) fn signed(&self, csrf: &str) -> bool {
        equal(csrf, &self.csrf)
    }
}

fn equal(given: &str, secret: &str) -> bool {
    given.as_bytes().ct_eq(secret.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Keys {
        Door::open(None).unwrap().keys
    }

    fn headers(name: header::HeaderName, value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(name, HeaderValue::try_from(value).unwrap());
        headers
    }

    #[test]
    fn the_token_is_exchanged_for_a_cookie_that_admits() {
        let keys = keys();
        assert_eq!(keys.exchange("token=guessed"), None);
        assert_eq!(keys.exchange("token="), None);
        let cookie = keys.exchange(&format!("a=b&token={}", keys.token)).unwrap();
        let cookie = cookie.to_str().unwrap();
        assert!(
            cookie.ends_with("; Path=/; HttpOnly; SameSite=Strict"),
            "{cookie}"
        );
        assert!(!cookie.contains(&keys.token), "the cookie is another secret");
        let pair = cookie.split(';').next().unwrap();
        let cookies = headers(header::COOKIE, &format!("session=x; {pair}"));
        assert!(keys.admits(&Method::POST, &cookies));
        let other = headers(header::COOKIE, &pair[..pair.len() - 1]);
        assert!(!keys.admits(&Method::GET, &other));
    }

    #[test]
    fn the_token_in_a_header_reads_and_does_not_act() {
        let keys = keys();
        let bearer = headers(header::AUTHORIZATION, &format!("Bearer {}", keys.token));
        assert!(keys.admits(&Method::GET, &bearer));
        assert!(!keys.admits(&Method::POST, &bearer));
        assert!(!keys.admits(&Method::GET, &headers(header::AUTHORIZATION, "Bearer x")));
    }

    #[test]
    fn runs_have_different_secrets_and_a_port_in_use_is_named() {
        let (one, other) = (Door::open(None).unwrap(), Door::open(None).unwrap());
        assert_ne!(one.keys.token, other.keys.token);
        assert!(one.entrance().starts_with(&format!("{}/?token=", one.url())));
        let error = Door::open(Some(one.port)).unwrap_err().to_string();
        assert!(error.contains(&one.port.to_string()), "{error}");
    }
}

//! Callers of the api, which authenticates them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use ring::hmac;
use serde_json::{Value, json};
use testkit::Service::{self, Api};

const SECRET: &str = "a secret for tests, of 32 bytes.";

/// The settings with which an api accepts these tokens.
pub(crate) const AUTHENTICATION: [(Service, &str, &str); 4] = [
    (Api, "AUTH", "jwt"),
    (Api, "JWT_SECRET", SECRET),
    (Api, "JWT_ISSUER", "https://id.example"),
    (Api, "JWT_AUDIENCE", "orders"),
];

/// A client with an operator's token. A request can override it.
pub(crate) fn ada() -> Client {
    let bearer = format!("Bearer {}", token("ada", "orders:admin"));
    let bearer = HeaderValue::try_from(bearer).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, bearer)]);
    Client::builder().default_headers(headers).build().unwrap()
}

/// A token of HS256 that expires in an hour.
pub(crate) fn token(customer: &str, scope: &str) -> String {
    token_signed_with(SECRET, customer, scope)
}

pub(crate) fn token_signed_with(secret: &str, customer: &str, scope: &str) -> String {
    let expires = SystemTime::now() + Duration::from_secs(3600);
    let expires = expires.duration_since(UNIX_EPOCH).unwrap().as_secs();
    let claims = json!({
        "iss": "https://id.example", "aud": "orders", "sub": customer, "scope": scope, "exp": expires
    });
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let message = format!("{}.{}", encode(&header), encode(&claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
    format!("{message}.{signature}")
}

//! `token`: a token for the local api, signed with the JWT_SECRET that the api was started with.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

const LOCAL_CUSTOMER: &str = "local";
const CUSTOMER_SCOPES: &str = "orders:read orders:write";
const OPERATOR_SCOPES: &str = "orders:read orders:write orders:admin";
/// A working day.
const VALIDITY: Duration = Duration::from_secs(12 * 3600);
/// The api rejects a shorter secret.
const MIN_SECRET_BYTES: usize = 32;

/// Print a bearer token, signed with JWT_SECRET (HS256), for local use
#[derive(clap::Args)]
pub(crate) struct Token {
    /// The customer
    #[arg(long, value_name = "ID", default_value = LOCAL_CUSTOMER)]
    sub: String,
    /// Its scopes, separated by spaces
    #[arg(long, default_value = CUSTOMER_SCOPES)]
    scope: String,
}

impl Token {
    pub(crate) fn run(&self) -> anyhow::Result<ExitCode> {
        println!("{}", sign(&secret()?, &self.sub, &self.scope)?);
        Ok(ExitCode::SUCCESS)
    }
}

/// A token of the default customer of `token`.
pub(crate) fn local(secret: &str) -> anyhow::Result<String> {
    sign(secret, LOCAL_CUSTOMER, CUSTOMER_SCOPES)
}

/// A token of an operator.
pub(crate) fn admin(secret: &str) -> anyhow::Result<String> {
    sign(secret, "operator", OPERATOR_SCOPES)
}

/// The JWT_SECRET of the environment.
pub(crate) fn secret() -> anyhow::Result<String> {
    secret_if_set()?.context(
        "set JWT_SECRET to that of the api, which is started by `AUTH=jwt JWT_SECRET=... cargo xtask up`",
    )
}

/// The JWT_SECRET of the environment, if it is set.
pub(crate) fn secret_if_set() -> anyhow::Result<Option<String>> {
    match std::env::var("JWT_SECRET") {
        Ok(secret) if secret.is_empty() => Ok(None),
        Ok(secret) if secret.len() >= MIN_SECRET_BYTES => Ok(Some(secret)),
        Ok(_) => bail!("JWT_SECRET: got `***`; takes at least {MIN_SECRET_BYTES} bytes"),
        Err(_) => Ok(None),
    }
}

fn sign(secret: &str, customer: &str, scope: &str) -> anyhow::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let mut claims = json!({
        "sub": customer,
        "scope": scope,
        "iat": now.as_secs(),
        "exp": (now + VALIDITY).as_secs(),
    });
    for (variable, claim) in [("JWT_ISSUER", "iss"), ("JWT_AUDIENCE", "aud")] {
        if let (Ok(value), Some(claims)) = (std::env::var(variable), claims.as_object_mut()) {
            claims.insert(claim.to_owned(), Value::String(value));
        }
    }
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = json!({ "alg": "HS256", "typ": "JWT" });
    let message = format!("{}.{}", encode(&header), encode(&claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes()));
    Ok(format!("{message}.{signature}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_has_its_customer_and_scopes() {
        let token = sign("a secret for tests, of 32 bytes.", "ada", "orders:read").unwrap();
        let claims = token.split('.').nth(1).unwrap();
        let claims = URL_SAFE_NO_PAD.decode(claims).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        assert_eq!(claims["sub"], "ada");
        assert_eq!(claims["scope"], "orders:read");
        assert!(claims["exp"].as_u64() > claims["iat"].as_u64());
    }
}

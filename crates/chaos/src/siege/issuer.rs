//! An identity provider with one Ed25519 key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How long a token is valid.
const VALIDITY: Duration = Duration::from_secs(12 * 3600);

pub(super) struct Issuer {
    key: Ed25519KeyPair,
    url: String,
    server: JoinHandle<()>,
}

impl Issuer {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(anyhow::Error::msg)?;
        let key = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).map_err(anyhow::Error::msg)?;
        let public = URL_SAFE_NO_PAD.encode(key.public_key());
        let keys = json!({ "keys": [{ "kty": "OKP", "crv": "Ed25519", "kid": "siege", "x": public }] });
        let keys = keys.to_string();
        let response = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{keys}",
            keys.len()
        );
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/keys", listener.local_addr()?);
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                if stream.read(&mut request).await.is_ok() {
                    // A client that went away needs no keys.
                    let _ = stream.write_all(response.as_bytes()).await;
                }
            }
        });
        Ok(Self { key, url, server })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// A valid token of a customer.
    pub(super) fn token(&self, customer: &str) -> String {
        self.token_with("siege", customer)
    }

    /// A token that names this key; it is signed with the only one.
    pub(super) fn token_with(&self, kid: &str, customer: &str) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let header = json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": kid });
        let claims = json!({ "sub": customer, "scope": "orders:read orders:write", "exp": (now + VALIDITY).as_secs() });
        let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", encode(header), encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(self.key.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

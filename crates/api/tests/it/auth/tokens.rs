//! Valid and invalid tokens, built by hand: tests must not use the library that they test.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use reqwest::Method;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RsaKeyPair,
};
use serde_json::{Value, json};

use crate::response::Response;
use crate::service::Api;

pub(crate) const SECRET: &str = "a secret for tests, of 32 bytes.";
pub(super) const RSA_PUBLIC: &str = include_str!("rsa.pub.pem");

pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Valid for an hour.
pub(crate) fn claims(customer: &str, scope: &str) -> Value {
    json!({ "sub": customer, "scope": scope, "exp": now() + 3600 })
}

pub(crate) fn hs256(secret: &[u8], claims: &Value) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    signed(&json!({ "alg": "HS256", "typ": "JWT" }), claims, |message| {
        ring::hmac::sign(&key, message).as_ref().to_vec()
    })
}

/// A token that is valid under [`SECRET`].
pub(crate) fn token(customer: &str, scope: &str) -> String {
    hs256(SECRET.as_bytes(), &claims(customer, scope))
}

pub(super) fn signed(header: &Value, claims: &Value, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let (header, claims) = (base64url(header.to_string()), base64url(claims.to_string()));
    let message = format!("{header}.{claims}");
    let signature = base64url(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// A key pair of an issuer.
pub(super) enum Issuer {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Issuer {
    pub(super) fn rsa() -> Self {
        Self::Rsa(RsaKeyPair::from_pkcs8(include_bytes!("rsa.pk8")).unwrap())
    }

    pub(super) fn ec() -> Self {
        let (random, kind) = (SystemRandom::new(), &ECDSA_P256_SHA256_FIXED_SIGNING);
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        Self::Ec(EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random).unwrap())
    }

    pub(super) fn ed() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
    }

    pub(super) fn algorithm(&self) -> &'static str {
        match self {
            Self::Rsa(_) => "RS256",
            Self::Ec(_) => "ES256",
            Self::Ed(_) => "EdDSA",
        }
    }

    pub(crate) fn token(&self, kid: &str, claims: &Value) -> String {
        let header = json!({ "alg": self.algorithm(), "kid": kid });
        signed(&header, claims, |message| self.sign(message))
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .unwrap();
                signature
            }
            Self::Ec(key) => key.sign(&random, message).unwrap().as_ref().to_vec(),
            Self::Ed(key) => key.sign(message).as_ref().to_vec(),
        }
    }

    /// The public key as a PEM file.
    pub(super) fn pem(&self) -> String {
        // SubjectPublicKeyInfo up to the key (RFC 5480, RFC 8410).
        let (prefix, point) = match self {
            Self::Rsa(_) => return RSA_PUBLIC.to_owned(),
            Self::Ec(key) => (
                &b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00"[..],
                key.public_key().as_ref(),
            ),
            Self::Ed(key) => (
                &b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00"[..],
                key.public_key().as_ref(),
            ),
        };
        let base64 = STANDARD.encode([prefix, point].concat());
        format!("-----BEGIN PUBLIC KEY-----\n{base64}\n-----END PUBLIC KEY-----\n")
    }

    /// The public key as an issuer publishes it.
    pub(super) fn jwk(&self, kid: &str) -> Value {
        match self {
            Self::Rsa(key) => {
                let public = ring::rsa::PublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({ "kty": "RSA", "kid": kid, "use": "sig", "alg": "RS256", "n": base64url(public.n), "e": base64url(public.e) })
            }
            Self::Ec(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({ "kty": "EC", "crv": "P-256", "kid": kid, "x": base64url(x), "y": base64url(y) })
            }
            Self::Ed(key) => {
                json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64url(key.public_key()) })
            }
        }
    }
}

/// The service with HS256 and [`SECRET`].
pub(super) async fn api() -> Api {
    Api::with(&[("AUTH", "jwt"), ("JWT_SECRET", SECRET)]).await
}

pub(crate) async fn send(api: &Api, method: Method, path: &str, token: &str) -> Response {
    Response::of(api.request(method, path).bearer_auth(token)).await
}

/// Lists orders, which needs the scope `orders:read`.
pub(crate) async fn list(api: &Api, token: &str) -> Response {
    send(api, Method::GET, "/api/orders", token).await
}

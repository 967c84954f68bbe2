//! A key with the one algorithm that it is used for.

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use settings::{ExposeSecret, SecretString};

/// Size of an uncompressed point of P-256.
const P256_POINT_BYTES: usize = 65;

#[derive(Clone)]
pub(super) struct Key {
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

impl Key {
    pub(super) fn secret(secret: &SecretString) -> Self {
        Self {
            algorithm: Algorithm::HS256,
            key: DecodingKey::from_secret(secret.expose_secret().as_bytes()),
        }
    }

    /// Reads a PEM file of a public key: RSA, P-256, or Ed25519.
    pub(super) fn from_pem(pem: &[u8]) -> Option<Self> {
        let rsa = || DecodingKey::from_rsa_pem(pem).map(|key| (Algorithm::RS256, key));
        let ec = || DecodingKey::from_ec_pem(pem).map(|key| (Algorithm::ES256, key));
        let ed = || DecodingKey::from_ed_pem(pem).map(|key| (Algorithm::EdDSA, key));
        let (algorithm, key) = rsa().or_else(|_| ec()).or_else(|_| ed()).ok()?;
        let other_curve = algorithm == Algorithm::ES256
            && key
                .try_get_as_bytes()
                .map_or(true, |point| point.len() != P256_POINT_BYTES);
        (!other_curve).then_some(Self { algorithm, key })
    }

    /// `None` for a key that is not for one of these algorithms. Symmetric keys are never accepted from the
    /// network.
    pub(super) fn from_jwk(jwk: &Jwk) -> Option<Self> {
        let algorithm = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Algorithm::ES256,
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Algorithm::EdDSA,
            _ => return None,
        };
        let named = jwk.common.key_algorithm.map(|named| named.to_string());
        let other = named.is_some_and(|named| named.parse() != Ok(algorithm));
        let encrypts = jwk.common.public_key_use == Some(PublicKeyUse::Encryption);
        if other || encrypts {
            return None;
        }
        let key = DecodingKey::from_jwk(jwk).ok()?;
        Some(Self { algorithm, key })
    }
}

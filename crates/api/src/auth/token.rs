//! Verifies tokens and reads their claims. The algorithm is the key's; a token that names another one is
//! rejected.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use domain::CustomerId;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use settings::ExposeSecret;
use tokio::time::Instant;

use super::config::{JwtConfig, KeySource};
use super::error::{AuthError, Flaw};
use super::jwks::Jwks;
use super::key::Key;

/// Allowed clock difference for `exp` and `nbf`.
const LEEWAY_SECONDS: u64 = 30;
/// A later `exp` counts as this time, in the year 2286.
const MAX_EXPIRY: Duration = Duration::from_secs(10_000_000_000);
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// The claims of a valid token.
#[derive(Debug, Clone)]
pub(crate) struct Claims {
    /// The claim `sub`.
    pub(crate) customer: CustomerId,
    /// When the token is no longer accepted: at its claim `exp`, with the leeway.
    pub(crate) expires_at: Instant,
    scope: String,
}

impl Claims {
    /// Scopes are separated by spaces (RFC 8693, section 4.2).
    pub(crate) fn has(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|word| word == scope)
    }
}

#[derive(Deserialize)]
struct RawClaims {
    sub: String,
    /// Seconds since 1970, maybe with a fraction (RFC 7519, section 2). jsonwebtoken requires it.
    #[serde(default)]
    exp: f64,
    #[serde(default)]
    scope: String,
}

pub(crate) struct Verifier {
    keys: Keys,
    issuer: Option<String>,
    audience: Option<String>,
    max_lifetime: Duration,
}

enum Keys {
    Configured(Vec<Key>),
    Published(Jwks),
}

impl Verifier {
    pub(super) fn new(config: &JwtConfig) -> anyhow::Result<Self> {
        let keys = match &config.keys {
            KeySource::Secrets(secrets) => Keys::Configured(secrets.iter().map(Key::secret).collect()),
            KeySource::PublicKeyFile(path) => {
                let pem = std::fs::read(path)
                    .with_context(|| format!("JWT_PUBLIC_KEY_FILE: cannot read {}", path.display()))?;
                let key = Key::from_pem(&pem).with_context(|| {
                    format!(
                        "JWT_PUBLIC_KEY_FILE: {} is not a PEM file of an RSA, P-256 or Ed25519 public key",
                        path.display()
                    )
                })?;
                Keys::Configured(vec![key])
            }
            KeySource::JwksUrl(url) => Keys::Published(Jwks::new(url.expose_secret())?),
        };
        Ok(Self {
            keys,
            issuer: config.issuer.clone(),
            audience: config.audience.clone(),
            max_lifetime: config.max_lifetime,
        })
    }

    pub(super) async fn verify(&self, token: &str) -> Result<Claims, AuthError> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(AuthError::Invalid(Flaw::TooLong));
        }
        let malformed = AuthError::Invalid(Flaw::Unreadable);
        let header = decode_header(token).map_err(|_| malformed)?;
        // No critical header is supported (RFC 7515, section 4.1.11).
        if header.crit.is_some() {
            return Err(AuthError::Invalid(Flaw::CriticalHeaders));
        }
        if !header.typ.as_deref().is_none_or(is_access_token) {
            return Err(AuthError::Invalid(Flaw::OtherType));
        }
        let claims = match &self.keys {
            Keys::Configured(keys) => self.decode(token, keys)?,
            Keys::Published(jwks) => self.decode(token, &jwks.keys(header.kid.as_deref()).await?)?,
        };
        let latest = SystemTime::now() + self.max_lifetime + Duration::from_secs(LEEWAY_SECONDS);
        let latest = latest.duration_since(UNIX_EPOCH).unwrap_or_default();
        if claims.exp > latest.as_secs_f64() {
            return Err(AuthError::Invalid(Flaw::TooLongValid));
        }
        let customer = CustomerId::new(claims.sub).map_err(|_| AuthError::Invalid(Flaw::NoCustomer))?;
        Ok(Claims {
            customer,
            expires_at: expires_at(claims.exp),
            scope: claims.scope,
        })
    }

    /// Tries each key: several may have the token's key id, and secrets have none.
    fn decode(&self, token: &str, keys: &[Key]) -> Result<RawClaims, AuthError> {
        let mut last_error = error_for(&ErrorKind::InvalidAlgorithm);
        for key in keys {
            let validation = self.validation(key.algorithm);
            match decode::<RawClaims>(token, &key.key, &validation) {
                Ok(token) => return Ok(token.claims),
                Err(error) => match error.kind() {
                    ErrorKind::InvalidAlgorithm => {}
                    kind @ ErrorKind::InvalidSignature => last_error = error_for(kind),
                    // The signature is right, but the claims are not.
                    kind => return Err(error_for(kind)),
                },
            }
        }
        Err(last_error)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY_SECONDS;
        validation.validate_nbf = true;
        validation.required_spec_claims = ["exp".to_owned(), "sub".to_owned()].into();
        if let Some(issuer) = &self.issuer {
            validation.set_issuer(&[issuer]);
            validation.required_spec_claims.insert("iss".to_owned());
        }
        match &self.audience {
            Some(audience) => {
                validation.set_audience(&[audience]);
                validation.required_spec_claims.insert("aud".to_owned());
            }
            None => validation.validate_aud = false,
        }
        validation
    }
}

/// Whether a token with this `typ` may be an access token. RFC 9068, section 4, has resource servers reject
/// all but `at+jwt`; RFC 8725, section 3.11, has each kind of token named by its own type, so that one is not
/// taken for another. Many issuers write `JWT` or nothing for access tokens, which RFC 7519, section 5.1,
/// allows: the audience distinguishes those from ID tokens. `application/` may be left out (RFC 7515, section
/// 4.1.9).
fn is_access_token(typ: &str) -> bool {
    let typ = typ.to_ascii_lowercase();
    matches!(typ.strip_prefix("application/").unwrap_or(&typ), "at+jwt" | "jwt")
}

fn expires_at(exp: f64) -> Instant {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let end = Duration::try_from_secs_f64(exp).unwrap_or(MAX_EXPIRY);
    let end = end.min(MAX_EXPIRY) + Duration::from_secs(LEEWAY_SECONDS);
    Instant::now() + end.saturating_sub(now)
}

fn error_for(kind: &ErrorKind) -> AuthError {
    AuthError::Invalid(match kind {
        ErrorKind::ExpiredSignature => Flaw::Expired,
        ErrorKind::ImmatureSignature => Flaw::NotYetValid,
        ErrorKind::InvalidIssuer => Flaw::OtherIssuer,
        ErrorKind::InvalidAudience => Flaw::OtherAudience,
        ErrorKind::MissingRequiredClaim(_) => Flaw::MissingClaim,
        ErrorKind::InvalidSignature => Flaw::WrongSignature,
        ErrorKind::InvalidAlgorithm => Flaw::OtherAlgorithm,
        _ => Flaw::Unreadable,
    })
}

//! What a token must be, and what it says. Everything is checked before anything in it is believed: the algorithm is the key's, and
//! a token that names another is refused.

use anyhow::Context;
use domain::CustomerId;
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;

use super::Refusal;
use super::config::{JwtConfig, KeySource};
use super::jwks::Jwks;
use super::key::Key;

/// How far clocks may be apart, in seconds, for `exp` and `nbf`.
const LEEWAY: u64 = 30;
/// No honest token is longer, in bytes.
const MAX_TOKEN: usize = 8 * 1024;

/// What a good token says.
#[derive(Debug, Clone)]
pub(crate) struct Claims {
    /// Whose token it is: `sub`.
    pub(crate) customer: CustomerId,
    scope: String,
}

impl Claims {
    /// Whether the token has this scope (RFC 8693, section 4.2: words between blanks).
    pub(crate) fn has(&self, scope: &str) -> bool {
        self.scope.split(' ').any(|word| word == scope)
    }
}

#[derive(Deserialize)]
struct RawClaims {
    sub: String,
    #[serde(default)]
    scope: String,
}

pub(crate) struct Verifier {
    keys: Keys,
    issuer: Option<String>,
    audience: Option<String>,
}

enum Keys {
    One(Key),
    Published(Jwks),
}

impl Verifier {
    pub(super) fn new(config: JwtConfig) -> anyhow::Result<Self> {
        let keys = match config.keys {
            KeySource::Secret(secret) => Keys::One(Key::secret(&secret)),
            KeySource::PublicKeyFile(path) => {
                let pem = std::fs::read(&path)
                    .with_context(|| format!("JWT_PUBLIC_KEY_FILE: cannot read {}", path.display()))?;
                Keys::One(Key::from_pem(&pem).with_context(|| {
                    format!(
                        "JWT_PUBLIC_KEY_FILE: {} is no PEM file of an RSA, P-256 or Ed25519 public key",
                        path.display()
                    )
                })?)
            }
            KeySource::JwksUrl(url) => Keys::Published(Jwks::new(&url)?),
        };
        Ok(Self {
            keys,
            issuer: config.issuer,
            audience: config.audience,
        })
    }

    pub(super) async fn verify(&self, token: &str) -> Result<Claims, Refusal> {
        if token.len() > MAX_TOKEN {
            return Err(Refusal::Invalid("The token is too long"));
        }
        let malformed = Refusal::Invalid("The token cannot be read");
        let header = decode_header(token).map_err(|_| malformed)?;
        // Critical headers that nobody here understands (RFC 7515, section 4.1.11).
        if header.crit.is_some() {
            return Err(Refusal::Invalid("The token has critical headers"));
        }
        let claims = match &self.keys {
            Keys::One(key) => self.decode(token, std::slice::from_ref(key))?,
            Keys::Published(jwks) => self.decode(token, &jwks.keys(header.kid.as_deref()).await?)?,
        };
        let customer =
            CustomerId::new(claims.sub).map_err(|_| Refusal::Invalid("The token names no customer"))?;
        Ok(Claims {
            customer,
            scope: claims.scope,
        })
    }

    /// By the one of these keys that it is signed with.
    fn decode(&self, token: &str, keys: &[Key]) -> Result<RawClaims, Refusal> {
        let mut refused = refusal(&ErrorKind::InvalidAlgorithm);
        for key in keys {
            let validation = self.validation(key.algorithm);
            match decode::<RawClaims>(token, &key.key, &validation) {
                Ok(token) => return Ok(token.claims),
                Err(error) => match error.kind() {
                    ErrorKind::InvalidAlgorithm => {}
                    kind @ ErrorKind::InvalidSignature => refused = refusal(kind),
                    // It is this key's, and worth nothing all the same.
                    kind => return Err(refusal(kind)),
                },
            }
        }
        Err(refused)
    }

    fn validation(&self, algorithm: Algorithm) -> Validation {
        let mut validation = Validation::new(algorithm);
        validation.leeway = LEEWAY;
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

fn refusal(error: &ErrorKind) -> Refusal {
    Refusal::Invalid(match error {
        ErrorKind::ExpiredSignature => "The token has expired",
        ErrorKind::ImmatureSignature => "The token is not valid yet",
        ErrorKind::InvalidIssuer => "The token is of another issuer",
        ErrorKind::InvalidAudience => "The token is for another audience",
        ErrorKind::MissingRequiredClaim(_) => "The token lacks a claim that is required",
        ErrorKind::InvalidSignature => "The token's signature is wrong",
        ErrorKind::InvalidAlgorithm => "The token is signed with another algorithm",
        _ => "The token cannot be read",
    })
}

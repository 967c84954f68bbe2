//! Authentication by a JSON Web Token (RFC 7519) in the Authorization header (RFC 6750). Tokens and secrets
//! are never logged: an error says what is wrong with a token, never its content.

mod audit;
mod bearer;
mod config;
mod crypto;
mod error;
mod jwks;
mod key;
mod token;

pub(crate) use config::AuthConfig;
pub(crate) use error::AuthError;
pub(crate) use token::Claims;

use actix_web::HttpRequest;

use audit::FailureLog;
use bearer::bearer;
use token::Verifier;

pub(crate) struct Authenticator {
    /// Without one, every request is from the anonymous customer.
    verifier: Option<Verifier>,
    failures: FailureLog,
}

impl Authenticator {
    pub(crate) fn new(config: &AuthConfig) -> anyhow::Result<Self> {
        let verifier = match config {
            AuthConfig::Off => None,
            AuthConfig::Jwt(config) => {
                crypto::install();
                Some(Verifier::new(config)?)
            }
        };
        Ok(Self {
            verifier,
            failures: FailureLog::default(),
        })
    }

    /// Whether every request is from the anonymous customer.
    pub(crate) fn is_off(&self) -> bool {
        self.verifier.is_none()
    }

    /// The claims of the request's token; `None` if authentication is off.
    pub(crate) async fn claims(&self, request: &HttpRequest) -> Result<Option<Claims>, AuthError> {
        if self.is_off() {
            return Ok(None);
        }
        self.verify(bearer(request)?).await
    }

    /// The claims of a token; `None` if authentication is off.
    pub(crate) async fn verify(&self, token: &str) -> Result<Option<Claims>, AuthError> {
        match &self.verifier {
            None => Ok(None),
            Some(verifier) => verifier.verify(token).await.map(Some),
        }
    }

    /// Logs why the request is refused.
    pub(crate) fn record_failure(&self, error: AuthError, request: &HttpRequest) {
        self.failures.record(error, request);
    }
}

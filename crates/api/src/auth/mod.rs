//! Authentication by a JSON Web Token (RFC 7519) in the Authorization header (RFC 6750). Tokens and secrets
//! are never logged: an error says what is wrong with a token, never its content.

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
use actix_web::http::header;

use token::Verifier;

pub(crate) enum Authenticator {
    /// Every request is from the anonymous customer.
    Off,
    Jwt(Box<Verifier>),
}

impl Authenticator {
    pub(crate) fn new(config: &AuthConfig) -> anyhow::Result<Self> {
        match config {
            AuthConfig::Off => Ok(Self::Off),
            AuthConfig::Jwt(config) => {
                crypto::install();
                Ok(Self::Jwt(Box::new(Verifier::new(config)?)))
            }
        }
    }

    /// The claims of the request's token; `None` if authentication is off.
    pub(crate) async fn claims(&self, request: &HttpRequest) -> Result<Option<Claims>, AuthError> {
        match self {
            Self::Off => Ok(None),
            Self::Jwt(verifier) => Ok(Some(verifier.verify(bearer(request)?).await?)),
        }
    }
}

/// The token in the Authorization header. A scheme other than Bearer counts as no token (RFC 6750, section
/// 3.1).
fn bearer(request: &HttpRequest) -> Result<&str, AuthError> {
    let mut values = request.headers().get_all(header::AUTHORIZATION);
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(AuthError::NoToken),
        (Some(_), Some(_)) => return Err(AuthError::Invalid("There are two Authorization headers")),
        (Some(value), None) => value,
    };
    let garbled = AuthError::Invalid("The Authorization header cannot be read");
    let Some((scheme, token)) = value.to_str().map_err(|_| garbled)?.split_once(' ') else {
        return Err(AuthError::NoToken);
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim_start_matches(' '))
    } else {
        Err(AuthError::NoToken)
    }
}

//! Who sends a request, proved by a JSON Web Token (RFC 7519) in its Authorization header (RFC 6750). No token and no secret is ever
//! logged: errors here say what is wrong with a token, never what it is.

mod config;
mod crypto;
mod jwks;
mod key;
mod refusal;
mod token;

pub(crate) use config::AuthConfig;
pub(crate) use refusal::Refusal;
pub(crate) use token::Claims;

use actix_web::HttpRequest;
use actix_web::http::header;

use token::Verifier;

/// Checks requests; made once, at the start.
pub(crate) enum Authenticator {
    /// Everybody may do everything.
    Off,
    /// A token says who may do what.
    Jwt(Box<Verifier>),
}

impl Authenticator {
    pub(crate) fn new(config: AuthConfig) -> anyhow::Result<Self> {
        match config {
            AuthConfig::Off => Ok(Self::Off),
            AuthConfig::Jwt(config) => {
                crypto::install();
                Ok(Self::Jwt(Box::new(Verifier::new(config)?)))
            }
        }
    }

    /// What the request's token says; `None` where nobody asks for one.
    pub(crate) async fn claims(&self, request: &HttpRequest) -> Result<Option<Claims>, Refusal> {
        match self {
            Self::Off => Ok(None),
            Self::Jwt(verifier) => Ok(Some(verifier.verify(bearer(request)?).await?)),
        }
    }
}

/// The token of the one Authorization header. Another scheme than Bearer is as none (RFC 6750, section 3.1).
fn bearer(request: &HttpRequest) -> Result<&str, Refusal> {
    let mut values = request.headers().get_all(header::AUTHORIZATION);
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(Refusal::NoToken),
        (Some(_), Some(_)) => return Err(Refusal::Invalid("There are two Authorization headers")),
        (Some(value), None) => value,
    };
    let garbled = Refusal::Invalid("The Authorization header cannot be read");
    let Some((scheme, token)) = value.to_str().map_err(|_| garbled)?.split_once(' ') else {
        return Err(Refusal::NoToken);
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim_start_matches(' '))
    } else {
        Err(Refusal::NoToken)
    }
}

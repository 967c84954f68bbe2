//! Authentication and authorization errors, with the challenge for the client (RFC 6750, section 3).

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};

use crate::problem::Problem;

const REALM: &str = "Bearer realm=\"throughline\"";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthError {
    /// 401 without an error code in the challenge: the client may not know that a token is required.
    NoToken,
    /// 401; the text says why.
    Invalid(&'static str),
    /// 403: the token lacks this scope.
    MissingScope(&'static str),
    /// 503: the issuer's keys cannot be fetched.
    KeysUnavailable,
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        let (status, detail, challenge) = match error {
            AuthError::NoToken => (
                StatusCode::UNAUTHORIZED,
                "A bearer token is required.".to_owned(),
                REALM.to_owned(),
            ),
            AuthError::Invalid(why) => (
                StatusCode::UNAUTHORIZED,
                format!("{why}."),
                format!("{REALM}, error=\"invalid_token\", error_description=\"{why}\""),
            ),
            AuthError::MissingScope(scope) => (
                StatusCode::FORBIDDEN,
                format!("The token does not have the scope {scope}."),
                format!("{REALM}, error=\"insufficient_scope\", scope=\"{scope}\""),
            ),
            AuthError::KeysUnavailable => {
                return Self::unavailable("Tokens cannot be checked at the moment. Try again.");
            }
        };
        let problem = Self::new(status, detail);
        match HeaderValue::try_from(challenge) {
            Ok(challenge) => problem.with_header(header::WWW_AUTHENTICATE, challenge),
            Err(_) => problem,
        }
    }
}

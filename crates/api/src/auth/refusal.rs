//! Why a request may not do what it asks for, and the challenge that tells its client (RFC 6750, section 3).

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};

use crate::problem::Problem;

const REALM: &str = "Bearer realm=\"throughline\"";

/// Why a request was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It has no token. The challenge names no error: the client may not have known.
    NoToken,
    /// Its token is worth nothing.
    Invalid(&'static str),
    /// Its token does not have this scope.
    Scope(&'static str),
    /// Whether its token is good cannot be told at the moment: the issuer's keys cannot be fetched.
    Unknown,
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        let (status, detail, challenge) = match refusal {
            Refusal::NoToken => (
                StatusCode::UNAUTHORIZED,
                "A bearer token is required.".to_owned(),
                REALM.to_owned(),
            ),
            Refusal::Invalid(why) => (
                StatusCode::UNAUTHORIZED,
                format!("{why}."),
                format!("{REALM}, error=\"invalid_token\", error_description=\"{why}\""),
            ),
            Refusal::Scope(scope) => (
                StatusCode::FORBIDDEN,
                format!("The token does not have the scope {scope}."),
                format!("{REALM}, error=\"insufficient_scope\", scope=\"{scope}\""),
            ),
            Refusal::Unknown => {
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

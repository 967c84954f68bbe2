//! Authentication and authorization errors, with the challenge for the client (RFC 6750, section 3).

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};

use crate::problem::Problem;

const REALM: &str = "Bearer realm=\"throughline\"";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AuthError {
    /// 401 without an error code in the challenge: the client may not know that a token is required.
    NoToken,
    /// 401.
    Invalid(Flaw),
    /// 403: the token lacks this scope.
    MissingScope(&'static str),
    /// 503: the issuer's keys cannot be fetched.
    KeysUnavailable,
}

/// What is wrong with a token, or with the header that carries it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    TwoHeaders,
    UnreadableHeader,
    Unreadable,
    TooLong,
    CriticalHeaders,
    OtherType,
    OtherAlgorithm,
    UnknownKey,
    WrongSignature,
    MissingClaim,
    OtherIssuer,
    OtherAudience,
    NotYetValid,
    Expired,
    TooLongValid,
    NoCustomer,
}

impl Flaw {
    /// A word for `error.type`, and a text for the client.
    fn described(self) -> (&'static str, &'static str) {
        match self {
            Self::TwoHeaders => ("header_repeated", "There are two Authorization headers"),
            Self::UnreadableHeader => ("header_unreadable", "The Authorization header cannot be read"),
            Self::Unreadable => ("token_unreadable", "The token cannot be read"),
            Self::TooLong => ("token_too_long", "The token is too long"),
            Self::CriticalHeaders => ("token_critical_header", "The token has critical headers"),
            Self::OtherType => ("token_type", "The token is of another type"),
            Self::OtherAlgorithm => ("token_algorithm", "The token is signed with another algorithm"),
            Self::UnknownKey => ("token_key_unknown", "The token is signed with an unknown key"),
            Self::WrongSignature => ("token_signature", "The token's signature is wrong"),
            Self::MissingClaim => ("token_claim_missing", "The token lacks a claim that is required"),
            Self::OtherIssuer => ("token_issuer", "The token is of another issuer"),
            Self::OtherAudience => ("token_audience", "The token is for another audience"),
            Self::NotYetValid => ("token_not_yet_valid", "The token is not valid yet"),
            Self::Expired => ("token_expired", "The token has expired"),
            Self::TooLongValid => ("token_lifetime", "The token is valid for too long"),
            Self::NoCustomer => ("token_customer", "The token names no customer"),
        }
    }
}

impl AuthError {
    /// The failure as a word for `error.type`; `None` if it is not the client's.
    pub(super) fn reason(self) -> Option<&'static str> {
        match self {
            Self::NoToken => Some("token_missing"),
            Self::Invalid(flaw) => Some(flaw.described().0),
            Self::MissingScope(_) => Some("scope_missing"),
            Self::KeysUnavailable => None,
        }
    }
}

impl From<AuthError> for Problem {
    fn from(error: AuthError) -> Self {
        let (status, detail, challenge) = match error {
            AuthError::NoToken => (
                StatusCode::UNAUTHORIZED,
                "A bearer token is required.".to_owned(),
                REALM.to_owned(),
            ),
            AuthError::Invalid(flaw) => {
                let (_, why) = flaw.described();
                (
                    StatusCode::UNAUTHORIZED,
                    format!("{why}."),
                    format!("{REALM}, error=\"invalid_token\", error_description=\"{why}\""),
                )
            }
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

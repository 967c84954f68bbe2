//! The token of a request.

use actix_web::HttpRequest;
use actix_web::http::header;

use super::error::{AuthError, Flaw};

/// The token in the Authorization header. A scheme other than Bearer counts as no token (RFC 6750, section
/// 3.1).
pub(super) fn bearer(request: &HttpRequest) -> Result<&str, AuthError> {
    let mut values = request.headers().get_all(header::AUTHORIZATION);
    let value = match (values.next(), values.next()) {
        (None, _) => return Err(AuthError::NoToken),
        (Some(_), Some(_)) => return Err(AuthError::Invalid(Flaw::TwoHeaders)),
        (Some(value), None) => value,
    };
    let garbled = AuthError::Invalid(Flaw::UnreadableHeader);
    let Some((scheme, token)) = value.to_str().map_err(|_| garbled)?.split_once(' ') else {
        return Err(AuthError::NoToken);
    };
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token.trim_start_matches(' '))
    } else {
        Err(AuthError::NoToken)
    }
}

//! The session's cookie: a random id that scripts cannot read and other sites cannot send.

use actix_web::HttpRequest;
use actix_web::http::header::{self, HeaderValue};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom, SystemRandom};
use store::SessionHash;

use crate::problem::Problem;

const RANDOM_BYTES: usize = 32;

/// 256 random bits as base64url.
pub(super) fn random() -> Result<String, Problem> {
    let mut bytes = [0; RANDOM_BYTES];
    let drawn = SystemRandom::new().fill(&mut bytes);
    drawn.map_err(|_| Problem::unavailable("The system has no random numbers at the moment. Try again."))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// The name of the cookie. With the prefix, browsers accept it only over TLS, for this host and all paths
/// (RFC 6265bis, section 4.1.3.2).
fn name(secure: bool) -> &'static str {
    if secure { "__Host-session" } else { "session" }
}

/// The header that sets the cookie; an empty id and no age delete it.
pub(super) fn header(secure: bool, id: &str, max_age_seconds: u64) -> Option<HeaderValue> {
    let (name, secure) = (name(secure), if secure { "; Secure" } else { "" });
    let text = format!("{name}={id}; Path=/; Max-Age={max_age_seconds}; HttpOnly; SameSite=Strict{secure}");
    HeaderValue::try_from(text).ok()
}

/// What the store has of this id.
pub(super) fn hash(id: &str) -> SessionHash {
    let mut hash = SessionHash::default();
    hash.copy_from_slice(digest(&SHA256, id.as_bytes()).as_ref());
    hash
}

/// The session that the request's cookie names.
pub(super) fn session_of(request: &HttpRequest, secure: bool) -> Option<SessionHash> {
    let cookies = request.headers().get_all(header::COOKIE);
    let mut pairs = cookies
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='));
    let (_, id) = pairs.find(|(key, _)| *key == name(secure))?;
    Some(hash(id))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn the_cookie_is_found_among_others_and_only_under_its_name() {
        let request = |cookie: &str| {
            TestRequest::default()
                .insert_header(("cookie", cookie))
                .to_http_request()
        };
        let found = session_of(&request("a=b; __Host-session=x; session=y"), true);
        assert_eq!(found, Some(hash("x")));
        assert_eq!(session_of(&request("session=y"), true), None);
        assert_eq!(session_of(&request("session=y"), false), Some(hash("y")));
        assert_eq!(session_of(&request("nothing"), false), None);
    }

    #[test]
    fn ids_are_long_and_differ() {
        let (one, other) = (random().unwrap(), random().unwrap());
        assert_eq!(one.len(), 43);
        assert_ne!(one, other);
    }
}

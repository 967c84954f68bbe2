//! Which origins may call from a browser (<https://fetch.spec.whatwg.org/#http-cors-protocol>): those in
//! CORS_ALLOWED_ORIGINS, by default none. Tokens travel in a header, so cookies and other credentials of the
//! browser are not allowed.

use actix_cors::Cors;
use actix_web::http::header;
use settings::{Env, SettingError};

const VARIABLE: &str = "CORS_ALLOWED_ORIGINS";

/// How long a browser may cache a preflight response, in seconds.
const PREFLIGHT_MAX_AGE: usize = 3600;

/// Reads CORS_ALLOWED_ORIGINS.
pub(crate) fn origins(env: &Env) -> Result<Vec<String>, SettingError> {
    let text = env.get(VARIABLE).unwrap_or_default();
    let origins = text.split(',').map(str::trim).filter(|origin| !origin.is_empty());
    origins
        .map(|origin| {
            let host = origin
                .strip_prefix("https://")
                .or_else(|| origin.strip_prefix("http://"));
            let is_origin = host.is_some_and(|host| !host.is_empty() && !host.contains(['/', '*', ' ']));
            if is_origin || origin == "*" {
                Ok(origin.to_owned())
            } else {
                let takes = "origins such as https://shop.example, separated by commas, or *";
                Err(SettingError::bad(VARIABLE, origin, takes))
            }
        })
        .collect()
}

/// The middleware.
pub(crate) fn allow(origins: &[String]) -> Cors {
    let cors = Cors::default()
        .allowed_methods(["GET", "HEAD", "POST", "DELETE"])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE, header::IF_NONE_MATCH])
        .allowed_headers([
            "idempotency-key",
            "last-event-id",
            "traceparent",
            "tracestate",
            "x-request-id",
        ])
        .expose_headers([
            "etag",
            "idempotency-replayed",
            "link",
            "location",
            "ratelimit",
            "ratelimit-policy",
            "retry-after",
            "www-authenticate",
            "x-request-id",
        ])
        .max_age(PREFLIGHT_MAX_AGE);
    origins.iter().fold(cors, |cors, origin| match origin.as_str() {
        "*" => cors.send_wildcard().allow_any_origin(),
        origin => cors.allowed_origin(origin),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_checked_at_the_start() {
        let read = |text: &str| origins(&Env::of([(VARIABLE, text)]));
        let two = "https://shop.example, http://localhost:3000";
        assert_eq!(
            read(two).unwrap(),
            ["https://shop.example", "http://localhost:3000"]
        );
        assert!(read("").unwrap().is_empty());
        for bad in [
            "shop.example",
            "https://",
            "https://a/b",
            "https://*.example",
            "null",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}

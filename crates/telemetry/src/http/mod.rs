//! HTTP by the stable semantic conventions, on both ends of the wire.

#[cfg(feature = "reqwest")]
pub mod client;
mod redact;
#[cfg(feature = "actix")]
pub mod server;

/// The methods that a span and a metric may name; any other is `_OTHER`, so that a client cannot make up names.
/// <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>
fn known_method(method: &str) -> Option<&'static str> {
    const KNOWN: [&str; 10] = [
        "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE",
    ];
    KNOWN.into_iter().find(|known| *known == method)
}

/// `http.request.method` of a method that is not known.
const OTHER_METHOD: &str = "_OTHER";
/// The span name of a method that is not known.
const UNKNOWN_NAME: &str = "HTTP";

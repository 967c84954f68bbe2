//! Names of HTTP methods in spans and metrics.

/// `http.request.method` of an unknown method.
pub(super) const OTHER_METHOD: &str = "_OTHER";
/// The span name of an unknown method.
pub(super) const UNKNOWN_NAME: &str = "HTTP";

/// The method if a span and a metric may name it. All others are `_OTHER`, so that clients cannot create time
/// series.
/// <https://opentelemetry.io/docs/specs/semconv/http/http-spans/>
pub(super) fn known_method(method: &str) -> Option<&'static str> {
    const KNOWN: [&str; 10] = [
        "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE",
    ];
    KNOWN.into_iter().find(|known| *known == method)
}

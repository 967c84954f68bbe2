//! Requests of other sites change nothing: browsers say where a request comes from.

use actix_web::HttpRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{HOST, HeaderName, ORIGIN};

use crate::problem::Problem;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// 403 unless a page of this origin sent the request.
pub(crate) fn require_same_origin(request: &HttpRequest) -> Result<(), Problem> {
    let header = |name: HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    if settings::is_same_origin(header(SEC_FETCH_SITE), header(ORIGIN), header(HOST)) {
        return Ok(());
    }
    let detail = "This request did not come from a page of the console, and changed nothing.";
    Err(Problem::new(StatusCode::FORBIDDEN, detail))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn only_requests_of_the_same_origin_pass() {
        let passes = |headers: &[(&'static str, &'static str)]| {
            let request = headers.iter().fold(TestRequest::default(), |request, header| {
                request.insert_header(*header)
            });
            require_same_origin(&request.to_http_request()).is_ok()
        };
        let host = ("host", "console.example:8443");
        assert!(passes(&[host, ("sec-fetch-site", "same-origin")]));
        assert!(passes(&[host, ("origin", "https://console.example:8443")]));
        for headers in [
            &[host][..],
            &[host, ("origin", "null")],
            &[host, ("origin", "https://console.example")],
            &[host, ("origin", "https://evil.example")],
            &[host, ("sec-fetch-site", "none")],
            &[
                host,
                ("sec-fetch-site", "same-site"),
                ("origin", "https://console.example:8443"),
            ],
            &[host, ("sec-fetch-site", "cross-site")],
        ] {
            assert!(!passes(headers), "{headers:?}");
        }
    }
}

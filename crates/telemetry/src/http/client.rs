//! The HTTP client: reqwest, with a CLIENT span for each call and the trace context in its headers. A retry
//! is a separate call with `http.request.resend_count`. A call outside a trace is measured but makes no span.
//!
//! ```no_run
//! # async fn run() -> Result<(), reqwest::Error> {
//! use throughline_telemetry::http::client::Client;
//!
//! let plain = reqwest::Client::new();
//! let client = Client::new(plain.clone());
//! let request = plain.get("https://example.com/parcels/7").build()?;
//! let again = request.try_clone();
//! let mut response = client.execute(request).await?;
//! if let (Some(request), true) = (again, response.status().is_server_error()) {
//!     response = client.execute_again(request, 1).await?; // http.request.resend_count = 1
//! }
//! # Ok(())
//! # }
//! ```

use std::borrow::Cow;

use opentelemetry::propagation::Injector;
use opentelemetry::trace::{FutureExt, SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue, global};
use reqwest::{Request, Response, StatusCode, header};

use super::method::{OTHER_METHOD, UNKNOWN_NAME, known_method};
use super::redact;
use crate::instruments::instruments;
use crate::measures::Series;
use crate::names;
use crate::operation::{ErrorType, Operation};
use crate::propagation::without_caller_data;

/// A traced [`reqwest::Client`]. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    client: reqwest::Client,
    sends_caller_data: bool,
}

impl Client {
    /// Traces the calls of `client`. They carry `traceparent` alone.
    pub fn new(client: reqwest::Client) -> Self {
        Self {
            client,
            sends_caller_data: false,
        }
    }

    /// Also sends `tracestate` and baggage, including the caller's. Only for servers that may see what
    /// callers send.
    #[must_use]
    pub fn with_caller_data(mut self) -> Self {
        self.sends_caller_data = true;
        self
    }

    /// Sends the request; the span ends with the response's head.
    ///
    /// # Errors
    /// reqwest's own.
    pub async fn execute(&self, request: Request) -> Result<Response, reqwest::Error> {
        self.execute_again(request, 0).await
    }

    /// Sends the request for the `resends`-th time after the first.
    ///
    /// # Errors
    /// reqwest's own.
    pub async fn execute_again(
        &self,
        mut request: Request,
        resends: u32,
    ) -> Result<Response, reqwest::Error> {
        let mut operation = start(&request, resends);
        let context = operation.context().clone();
        let sent = if self.sends_caller_data {
            Cow::Borrowed(&context)
        } else {
            without_caller_data(&context)
        };
        global::get_text_map_propagator(|propagator| {
            propagator.inject_context(&sent, &mut Headers(request.headers_mut()));
        });

        let result = self.client.execute(request).with_context(context).await;

        if let Ok(response) = &result {
            let code = i64::from(response.status().as_u16());
            operation.set_shared_attribute(KeyValue::new(names::HTTP_RESPONSE_STATUS_CODE, code));
            if let Some(version) = protocol_version(response.version()) {
                operation.set_shared_attribute(version);
            }
        }
        operation.end(match &result {
            Ok(response) => status_error(response.status()),
            Err(error) => Some(Cow::Borrowed(error_type(error))),
        });
        result
    }
}

fn start(request: &Request, resends: u32) -> Operation {
    let known = known_method(request.method().as_str());
    let url = request.url();
    let common = || {
        let method = known.unwrap_or(OTHER_METHOD);
        let port = url.port_or_known_default();
        [
            Some(KeyValue::new(names::HTTP_REQUEST_METHOD, method)),
            Some(KeyValue::new(names::SERVER_ADDRESS, host(url))),
            port.map(|port| KeyValue::new(names::SERVER_PORT, i64::from(port))),
        ]
        .into_iter()
        .flatten()
    };
    let span = SpanBuilder::from_name(known.unwrap_or(UNKNOWN_NAME)).with_kind(SpanKind::Client);
    let parent = Context::current();
    let series = Series::new(&instruments().http_client, common());
    Operation::start(span, &parent, series, || {
        let unknown = known.is_none().then(|| request.method().as_str().to_owned());
        let resends = (resends > 0).then(|| i64::from(resends));
        common()
            .chain([KeyValue::new(names::URL_FULL, redact::url(url))])
            .chain(unknown.map(|it| KeyValue::new(names::HTTP_REQUEST_METHOD_ORIGINAL, it)))
            .chain(resends.map(|it| KeyValue::new(names::HTTP_REQUEST_RESEND_COUNT, it)))
    })
}

/// The host without the brackets of an IPv6 address.
fn host(url: &url::Url) -> String {
    let host = url.host_str().unwrap_or_default();
    host.trim_matches(['[', ']']).to_owned()
}

/// `error.type` of a client: a 4xx is an error too.
fn status_error(status: StatusCode) -> Option<ErrorType> {
    let failed = status.is_client_error() || status.is_server_error();
    failed.then(|| Cow::Owned(status.as_u16().to_string()))
}

fn error_type(error: &reqwest::Error) -> &'static str {
    if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "connect"
    } else if error.is_body() || error.is_decode() {
        "body"
    } else if error.is_redirect() {
        "redirect"
    } else {
        "request"
    }
}

fn protocol_version(version: reqwest::Version) -> Option<KeyValue> {
    let version = match version {
        reqwest::Version::HTTP_10 => "1.0",
        reqwest::Version::HTTP_11 => "1.1",
        reqwest::Version::HTTP_2 => "2",
        reqwest::Version::HTTP_3 => "3",
        _ => return None,
    };
    Some(KeyValue::new(names::NETWORK_PROTOCOL_VERSION, version))
}

struct Headers<'a>(&'a mut header::HeaderMap);

impl Injector for Headers<'_> {
    fn set(&mut self, key: &str, value: String) {
        let name = header::HeaderName::from_bytes(key.as_bytes());
        if let (Ok(name), Ok(value)) = (name, header::HeaderValue::from_str(&value)) {
            self.0.insert(name, value);
        }
    }
}

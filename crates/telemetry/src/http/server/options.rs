//! What the middleware does on request. Each of it costs, so all of it is off by default.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::dev::ServiceRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderMap, HeaderName};
use opentelemetry::{Array, KeyValue, StringValue, Value};

use super::proxies::TrustedProxies;
use super::text::truncated;

/// Headers with credentials: a captured one has `REDACTED` as its value.
const CREDENTIALS: [&str; 5] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "set-cookie",
    "x-api-key",
];

/// The head of a response, for [`Tracing::on_response`](super::Tracing::on_response).
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct ResponseHead<'a> {
    /// The request.
    pub request: &'a HttpRequest,
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: &'a HeaderMap,
}

type Exclude = dyn Fn(&ServiceRequest) -> bool + Send + Sync;
type SpanName = dyn Fn(&ServiceRequest) -> Option<Cow<'static, str>> + Send + Sync;
type OnRequest = dyn Fn(&ServiceRequest) -> Vec<KeyValue> + Send + Sync;
type OnResponse = dyn Fn(ResponseHead<'_>) -> Vec<KeyValue> + Send + Sync;

#[derive(Clone, Default)]
pub(super) struct Options {
    pub(super) exclude_if: Option<Arc<Exclude>>,
    pub(super) span_name: Option<Arc<SpanName>>,
    pub(super) on_request: Option<Arc<OnRequest>>,
    pub(super) on_response: Option<Arc<OnResponse>>,
    pub(super) metric_attributes: Option<Arc<OnRequest>>,
    pub(super) request_headers: Headers,
    pub(super) response_headers: Headers,
    pub(super) proxies: TrustedProxies,
    pub(super) request_id: bool,
    pub(super) traceresponse: bool,
    pub(super) active_requests: bool,
    pub(super) body_sizes: bool,
    pub(super) server_span: bool,
    pub(super) log_errors: bool,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").finish_non_exhaustive()
    }
}

impl Options {
    pub(super) fn excludes(&self, request: &ServiceRequest) -> bool {
        self.exclude_if.as_ref().is_some_and(|excludes| excludes(request))
    }

    pub(super) fn span_name(&self, request: &ServiceRequest) -> Option<Cow<'static, str>> {
        self.span_name.as_ref()?(request)
    }

    /// The further attributes of a request's span.
    pub(super) fn request_attributes(&self, request: &ServiceRequest) -> Vec<KeyValue> {
        let own = self.on_request.as_ref().map(|hook| hook(request));
        let mut attributes = own.unwrap_or_default();
        attributes.extend(self.request_headers.attributes(request.headers()));
        attributes
    }

    /// The further attributes of a response's head.
    pub(super) fn response_attributes(&self, head: ResponseHead<'_>) -> Vec<KeyValue> {
        let own = self.on_response.as_ref().map(|hook| hook(head));
        let mut attributes = own.unwrap_or_default();
        attributes.extend(self.response_headers.attributes(head.headers));
        attributes
    }
}

/// Headers that are recorded, with the names of their attributes.
#[derive(Debug, Clone, Default)]
pub(super) struct Headers(Vec<(HeaderName, String)>);

impl Headers {
    /// `prefix` is `http.request.header.` or `http.response.header.`. What is not a header's name is left
    /// out.
    pub(super) fn new<'a>(prefix: &str, names: impl IntoIterator<Item = &'a str>) -> Self {
        let names = names.into_iter().filter_map(|name| name.parse().ok());
        Self(
            names
                .map(|name: HeaderName| (name.clone(), format!("{prefix}{name}")))
                .collect(),
        )
    }

    fn attributes<'a>(&'a self, headers: &'a HeaderMap) -> impl Iterator<Item = KeyValue> + 'a {
        self.0.iter().filter_map(|(name, attribute)| {
            let is_secret = CREDENTIALS.contains(&name.as_str());
            let shown = |value: &str| {
                if is_secret {
                    "REDACTED".to_owned()
                } else {
                    truncated(value)
                }
            };
            let values = headers.get_all(name).filter_map(|value| value.to_str().ok());
            let values: Vec<_> = values.map(|value| StringValue::from(shown(value))).collect();
            let values = (!values.is_empty()).then_some(values)?;
            Some(KeyValue::new(
                attribute.clone(),
                Value::Array(Array::String(values)),
            ))
        })
    }
}

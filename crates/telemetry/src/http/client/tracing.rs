//! How calls are traced: what is sent to which server, and how spans are named.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use opentelemetry::propagation::Injector;
use opentelemetry::trace::{SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue, global};
use reqwest::{Request, Response, StatusCode, header};

use super::call::Call;
use super::template::matches;
use crate::http::method::{OTHER_METHOD, UNKNOWN_NAME, known_method};
use crate::http::redact;
use crate::instruments::instruments;
use crate::measures::Series;
use crate::names;
use crate::operation::{ErrorType, Operation};
use crate::propagation::without_caller_data;

/// How calls are traced. Cheap to clone.
#[derive(Clone, Default)]
#[must_use]
pub struct CallTracing {
    sends_caller_data: bool,
    /// Servers that get no trace context, by host.
    local_hosts: Arc<[Box<str>]>,
    templates: Arc<[Box<str>]>,
    on_request: Option<Attributes<Request>>,
    on_response: Option<Attributes<Response>>,
}

type Attributes<T> = Arc<dyn Fn(&T) -> Vec<KeyValue> + Send + Sync>;

impl fmt::Debug for CallTracing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallTracing").finish_non_exhaustive()
    }
}

impl CallTracing {
    /// Sends `traceparent` alone, to every server.
    pub fn new() -> Self {
        Self::default()
    }

    /// Also sends `tracestate` and baggage, including the caller's. Only for servers that may see what
    /// callers send.
    pub fn with_caller_data(mut self) -> Self {
        self.sends_caller_data = true;
        self
    }

    /// Sends no trace context to these hosts. `.example.com` is each host below `example.com`.
    pub fn without_propagation_to<'a>(mut self, hosts: impl IntoIterator<Item = &'a str>) -> Self {
        self.local_hosts = hosts.into_iter().map(Box::from).collect();
        self
    }

    /// The templates of the paths that are called, such as `/parcels/{id}`, for calls that do not name
    /// theirs. The first that matches counts; `{*rest}` matches all segments that follow.
    pub fn url_templates<'a>(mut self, templates: impl IntoIterator<Item = &'a str>) -> Self {
        self.templates = templates.into_iter().map(Box::from).collect();
        self
    }

    /// Adds attributes to the span of each request that is recorded.
    pub fn on_request(
        mut self,
        attributes: impl Fn(&Request) -> Vec<KeyValue> + Send + Sync + 'static,
    ) -> Self {
        self.on_request = Some(Arc::new(attributes));
        self
    }

    /// Adds attributes to the span of each response that is recorded.
    pub fn on_response(
        mut self,
        attributes: impl Fn(&Response) -> Vec<KeyValue> + Send + Sync + 'static,
    ) -> Self {
        self.on_response = Some(Arc::new(attributes));
        self
    }

    /// Starts the span, and adds its context to the request's headers.
    pub(super) fn start(&self, request: &mut Request, call: Call) -> Operation {
        let is_local = call.is_local || self.is_local(request.url());
        let operation = self.start_span(request, call);
        if !is_local {
            let context = operation.context();
            let sent = if self.sends_caller_data {
                Cow::Borrowed(context)
            } else {
                without_caller_data(context)
            };
            global::get_text_map_propagator(|propagator| {
                propagator.inject_context(&sent, &mut Headers(request.headers_mut()));
            });
        }
        operation
    }

    fn is_local(&self, url: &url::Url) -> bool {
        let host = url.host_str().unwrap_or_default();
        self.local_hosts
            .iter()
            .any(|local| match local.strip_prefix('.') {
                Some(_) => host.ends_with(&**local),
                None => host == &**local,
            })
    }

    fn start_span(&self, request: &Request, call: Call) -> Operation {
        let known = known_method(request.method().as_str());
        let url = request.url();
        let template = call.template.or_else(|| {
            let mut templates = self.templates.iter();
            let template = templates.find(|template| matches(template, url.path()))?;
            Some(Cow::Owned(template.to_string()))
        });
        let method = known.unwrap_or(UNKNOWN_NAME);
        let name = match (call.name, &template) {
            (Some(name), _) => name,
            (None, Some(template)) => Cow::Owned(format!("{method} {template}")),
            (None, None) => Cow::Borrowed(method),
        };
        let common = || {
            let method = known.unwrap_or(OTHER_METHOD);
            let port = url.port_or_known_default();
            let template = template.clone();
            [
                Some(KeyValue::new(names::HTTP_REQUEST_METHOD, method)),
                Some(KeyValue::new(names::SERVER_ADDRESS, host(url))),
                port.map(|port| KeyValue::new(names::SERVER_PORT, i64::from(port))),
                template.map(|template| KeyValue::new(names::URL_TEMPLATE, template)),
            ]
            .into_iter()
            .flatten()
        };
        let span = SpanBuilder::from_name(name).with_kind(SpanKind::Client);
        let parent = Context::current();
        let series = Series::new(&instruments().http_client, common());
        let operation = Operation::start(span, &parent, series, || {
            let unknown = known.is_none().then(|| request.method().as_str().to_owned());
            let resends = (call.resends > 0).then(|| i64::from(call.resends));
            common()
                .chain([KeyValue::new(names::URL_FULL, redact::url(url))])
                .chain(unknown.map(|it| KeyValue::new(names::HTTP_REQUEST_METHOD_ORIGINAL, it)))
                .chain(resends.map(|it| KeyValue::new(names::HTTP_REQUEST_RESEND_COUNT, it)))
        });
        if let Some(hook) = &self.on_request {
            operation.set_attributes(|| hook(request));
        }
        operation
    }

    /// Ends the span with the response's head, or with the `error.type` of a call without a response.
    pub(super) fn end(&self, mut operation: Operation, result: Result<&Response, &'static str>) {
        if let Ok(response) = result {
            let code = i64::from(response.status().as_u16());
            operation.set_shared_attribute(KeyValue::new(names::HTTP_RESPONSE_STATUS_CODE, code));
            if let Some(version) = protocol_version(response.version()) {
                operation.set_shared_attribute(version);
            }
            if let Some(hook) = &self.on_response {
                operation.set_attributes(|| hook(response));
            }
        }
        operation.end(match result {
            Ok(response) => status_error(response.status()),
            Err(error) => Some(Cow::Borrowed(error)),
        });
    }
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

/// `error.type` of a call without a response.
pub(super) fn error_type(error: &reqwest::Error) -> &'static str {
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

//! One request from its arrival to its end: the span, the metric, and what they say.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, Version, header};
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue, global};

use super::Inbound;
use super::route::Route;
use crate::http::{OTHER_METHOD, UNKNOWN_NAME, known_method, redact};
use crate::instruments::instruments;
use crate::names;
use crate::operation::{ErrorType, Operation};
#[cfg(feature = "diesel")]
use crate::repeats::Repeats;
use crate::setup::{is_metering, is_tracing};

/// How much of a path, a query or a header a span says, in bytes.
const SAID: usize = 2_048;
/// How long a `tracestate` may be, in bytes; the W3C asks for 512 to be passed on. Each span of the trace has a copy.
const LONGEST_STATE: usize = 512;

static TRACE_PARENT: header::HeaderName = header::HeaderName::from_static("traceparent");
static TRACE_STATE: header::HeaderName = header::HeaderName::from_static("tracestate");
static BAGGAGE: header::HeaderName = header::HeaderName::from_static("baggage");

/// The address that a worker listens on. Never the Host header: a client writes that.
#[derive(Debug)]
pub(super) struct Local {
    /// `None` where it listens on all addresses.
    address: Option<Arc<str>>,
    port: i64,
    scheme: &'static str,
}

impl Local {
    pub(super) fn of(request: &ServiceRequest, address: Option<SocketAddr>) -> Self {
        let config = request.app_config();
        let address = address.unwrap_or(config.local_addr());
        let shown = |address: &SocketAddr| address.ip().to_string().into();
        Self {
            address: (!address.ip().is_unspecified()).then(|| shown(&address)),
            port: i64::from(address.port()),
            scheme: match config.secure() {
                true => "https",
                false => "http",
            },
        }
    }
}

/// A request whose span is open. Dropped before its end, it ends as cancelled.
#[derive(Debug)]
pub(super) struct Request {
    operation: Operation,
    /// What the span's name says of the method.
    method: &'static str,
    has_route: bool,
    /// Whether the response to it has a body at all.
    pub(super) head_only: bool,
    #[cfg(feature = "diesel")]
    repeats: Option<Repeats>,
}

impl Request {
    pub(super) fn start(request: &ServiceRequest, inbound: Inbound, local: &Local) -> Self {
        let known = known_method(request.method().as_str());
        let name_of_method = known.unwrap_or(UNKNOWN_NAME);
        // Where nobody sees it, the template is not even put together.
        let route = (is_tracing() || is_metering())
            .then(|| request.match_pattern())
            .flatten()
            .map(|template| Route::of(name_of_method, template));
        let name = route.map_or(name_of_method, |route| route.span_name);
        let (parent, linked) = caller(request, inbound);
        let span = SpanBuilder::from_name(name).with_kind(SpanKind::Server);

        let method = known.unwrap_or(OTHER_METHOD);
        let version = protocol_version(request.version());
        let common = || {
            [
                Some(KeyValue::new(names::HTTP_REQUEST_METHOD, method)),
                Some(KeyValue::new(names::URL_SCHEME, local.scheme)),
                route.map(|route| KeyValue::new(names::HTTP_ROUTE, route.template)),
                version.map(|version| KeyValue::new(names::NETWORK_PROTOCOL_VERSION, version)),
            ]
            .into_iter()
            .flatten()
        };
        let operation = Operation::start(span, &parent, &instruments().http_server, common);
        operation.link_to(|| linked);
        operation.describe(|| common().chain(described(request, local, known.is_none())));
        Self {
            method: name_of_method,
            has_route: route.is_some() || !(is_tracing() || is_metering()),
            head_only: request.method() == actix_web::http::Method::HEAD,
            #[cfg(feature = "diesel")]
            repeats: operation.span().is_recording().then(Repeats::default),
            operation,
        }
        .watched()
    }

    /// Has the statements of the request counted.
    #[cfg(feature = "diesel")]
    fn watched(mut self) -> Self {
        if let Some(repeats) = &self.repeats {
            self.operation.carry(repeats.clone());
        }
        self
    }

    #[cfg(not(feature = "diesel"))]
    fn watched(self) -> Self {
        self
    }

    pub(super) fn context(&self) -> &Context {
        self.operation.context()
    }

    /// Names the span by the route, where only a middleware further in made the path match one.
    pub(super) fn settle_route<B>(&mut self, response: &ServiceResponse<B>) {
        if self.has_route {
            return;
        }
        if let Some(template) = response.request().match_pattern() {
            let route = Route::of(self.method, template);
            self.operation.span().update_name(route.span_name);
            self.operation
                .describe_both(KeyValue::new(names::HTTP_ROUTE, route.template));
            self.has_route = true;
        }
    }

    /// The response was sent as a whole.
    pub(super) fn end(self, status: StatusCode) {
        self.end_as(status, server_error(status));
    }

    /// The response's head was sent, but not all of its body.
    pub(super) fn end_broken(self, status: StatusCode, error: &'static str) {
        self.end_as(status, Some(Cow::Borrowed(error)));
    }

    fn end_as(mut self, status: StatusCode, error: Option<ErrorType>) {
        #[cfg(feature = "diesel")]
        if let Some(repeats) = &self.repeats {
            repeats.tell(&self.operation);
        }
        let code = i64::from(status.as_u16());
        self.operation
            .describe_both(KeyValue::new(names::HTTP_RESPONSE_STATUS_CODE, code));
        self.operation.end(error);
    }
}

/// The context that the request continues, and the one that it only links to.
fn caller(request: &ServiceRequest, inbound: Inbound) -> (Context, Option<Context>) {
    let caller = || {
        global::get_text_map_propagator(|propagator| {
            propagator.extract_with_context(&Context::new(), &Headers(request.headers()))
        })
    };
    match inbound {
        Inbound::Parent => (caller(), None),
        Inbound::Link => (Context::new(), Some(caller())),
        Inbound::Ignore => (Context::new(), None),
    }
}

/// What only the span says.
fn described<'a>(
    request: &'a ServiceRequest,
    local: &'a Local,
    unknown_method: bool,
) -> impl Iterator<Item = KeyValue> + 'a {
    let text = |name, text: &str| KeyValue::new(name, said(text));
    let query = Some(request.query_string()).filter(|query| !query.is_empty());
    let method = unknown_method.then(|| request.method().as_str());
    let agent = request.headers().get(header::USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok());
    let authorized = request.headers().contains_key(header::AUTHORIZATION);
    let local_address = local.address.clone();
    let peer = request.peer_addr();
    let peer_address = peer.map(|peer| Arc::<str>::from(written(peer.ip())));
    [
        Some(text(names::URL_PATH, request.path())),
        Some(KeyValue::new(names::NETWORK_PROTOCOL_NAME, "http")),
        Some(KeyValue::new(names::HTTP_AUTH_PRESENT, authorized)),
        Some(KeyValue::new(names::SERVER_PORT, local.port)),
        local_address.map(|address| KeyValue::new(names::SERVER_ADDRESS, address)),
        query.map(|query| text(names::URL_QUERY, &redact::query(query))),
        method.map(|method| text(names::HTTP_REQUEST_METHOD_ORIGINAL, method)),
        peer_address
            .clone()
            .map(|address| KeyValue::new(names::CLIENT_ADDRESS, address)),
        peer_address.map(|address| KeyValue::new(names::NETWORK_PEER_ADDRESS, address)),
        peer.map(|peer| KeyValue::new(names::NETWORK_PEER_PORT, i64::from(peer.port()))),
        agent.map(|agent| text(names::USER_AGENT_ORIGINAL, agent)),
    ]
    .into_iter()
    .flatten()
}

/// What a span says of something that a caller wrote: no more than [`SAID`], since spans wait in a queue that is bounded by their
/// number. Only where it is cut is it masked here; the whole span is masked when it ends.
fn said(text: &str) -> String {
    match text.len() <= SAID {
        true => text.to_owned(),
        false => mask::prefix(text, SAID).into_owned(),
    }
}

/// An IPv4 address that arrived on an IPv6 socket is an IPv4 address.
fn written(address: IpAddr) -> String {
    address.to_canonical().to_string()
}

fn protocol_version(version: Version) -> Option<&'static str> {
    match version {
        Version::HTTP_10 => Some("1.0"),
        Version::HTTP_11 => Some("1.1"),
        Version::HTTP_2 => Some("2"),
        Version::HTTP_3 => Some("3"),
        _ => None,
    }
}

/// A 4xx is the client's error, not this service's.
fn server_error(status: StatusCode) -> Option<ErrorType> {
    status
        .is_server_error()
        .then(|| Cow::Owned(status.as_u16().to_string()))
}

struct Headers<'a>(&'a header::HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        // A name that is looked up as text is copied first.
        let mut values = match key {
            "traceparent" => self.0.get_all(&TRACE_PARENT),
            "tracestate" => self.0.get_all(&TRACE_STATE),
            "baggage" => self.0.get_all(&BAGGAGE),
            other => self.0.get_all(other),
        };
        let first = values.next()?.to_str().ok()?;
        let unusable = match key {
            // Which of two is meant nobody can tell (W3C Trace Context, section 3.2).
            "traceparent" => values.next().is_some(),
            "tracestate" => first.len() > LONGEST_STATE,
            _ => false,
        };
        (!unusable).then_some(first)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(header::HeaderName::as_str).collect()
    }
}

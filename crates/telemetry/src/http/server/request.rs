//! The span and the metric of one request.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, LazyLock};

use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{StatusCode, Version, header};
use actix_web::{Error, HttpMessage};
use opentelemetry::trace::{SpanBuilder, SpanKind};
use opentelemetry::{Context, KeyValue};

use super::extras::Extras;
use super::inbound::{ClientAddress, Inbound};
use super::options::Options;
use super::route::Route;
use super::text::truncated;
#[cfg(feature = "diesel")]
use crate::db::repeats::Repeats;
use crate::http::method::{OTHER_METHOD, UNKNOWN_NAME, known_method};
use crate::http::redact;
use crate::instruments::instruments;
use crate::measures::{Series, SeriesByKey};
use crate::names;
use crate::operation::{ErrorType, Operation};
use crate::scope::{is_metering, is_tracing};

/// The address that the server listens on. Never the Host header: the client controls it.
#[derive(Debug)]
pub(super) struct Local {
    /// `None` if it listens on all addresses.
    address: Option<Arc<str>>,
    port: i64,
    scheme: &'static str,
}

impl Local {
    pub(super) fn of(request: &ServiceRequest, address: Option<SocketAddr>) -> Self {
        let config = request.app_config();
        let address = address.unwrap_or(config.local_addr());
        Self {
            address: (!address.ip().is_unspecified()).then(|| address.ip().to_string().into()),
            port: i64::from(address.port()),
            scheme: if config.secure() { "https" } else { "http" },
        }
    }
}

/// What the attributes of `http.server.request.duration` depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    method: &'static str,
    scheme: &'static str,
    route: Option<&'static str>,
    version: Option<&'static str>,
    status: Option<u16>,
}

impl Key {
    fn attributes(self) -> impl Iterator<Item = KeyValue> {
        let status = self.status.map(i64::from);
        [
            Some(KeyValue::new(names::HTTP_REQUEST_METHOD, self.method)),
            Some(KeyValue::new(names::URL_SCHEME, self.scheme)),
            self.route.map(|route| KeyValue::new(names::HTTP_ROUTE, route)),
            self.version
                .map(|it| KeyValue::new(names::NETWORK_PROTOCOL_VERSION, it)),
            status.map(|status| KeyValue::new(names::HTTP_RESPONSE_STATUS_CODE, status)),
        ]
        .into_iter()
        .flatten()
    }

    fn series(self) -> Option<Arc<Series>> {
        static SERIES: LazyLock<SeriesByKey<Key>> = LazyLock::new(SeriesByKey::default);
        SERIES.get(self, &instruments().http_server, || self.attributes())
    }
}

/// A request whose span is open. If it is dropped, the span ends as cancelled.
#[derive(Debug)]
pub(super) struct Request {
    operation: Operation,
    key: Key,
    /// The method in the span's name.
    method: &'static str,
    has_route: bool,
    /// Whether the method is HEAD, whose response has no body.
    pub(super) is_head: bool,
    #[cfg(feature = "diesel")]
    repeats: Option<Repeats>,
    extras: Option<Box<Extras>>,
}

impl Request {
    pub(super) fn start(
        request: &ServiceRequest,
        inbound: Inbound,
        local: &Local,
        options: Option<&Arc<Options>>,
    ) -> Self {
        let known = known_method(request.method().as_str());
        let method_name = known.unwrap_or(UNKNOWN_NAME);
        // actix-web builds the template at each call.
        let route = (is_tracing() || is_metering())
            .then(|| request.match_pattern())
            .flatten()
            .map(|template| Route::of(method_name, template));
        let own_name = options.and_then(|options| {
            options.proxies.resolve(request);
            options.span_name(request)
        });
        let is_named = own_name.is_some();
        let name = || Cow::Borrowed(route.map_or(method_name, |route| route.span_name));
        let (parent, link) = inbound.contexts(request);
        let span = SpanBuilder::from_name(own_name.unwrap_or_else(name)).with_kind(SpanKind::Server);

        let key = Key {
            method: known.unwrap_or(OTHER_METHOD),
            scheme: local.scheme,
            route: route.map(|route| route.template),
            version: protocol_version(request.version()),
            status: None,
        };
        let operation = Operation::start(span, &parent, key.series(), || {
            key.attributes()
                .chain(span_attributes(request, local, known.is_none()))
        });
        operation.add_links(|| link);
        #[cfg(feature = "diesel")]
        let (operation, repeats) = count_statements(operation);
        let mut operation = operation;
        let extras = options.map(|options| {
            let attributes = [
                KeyValue::new(names::HTTP_REQUEST_METHOD, key.method),
                KeyValue::new(names::URL_SCHEME, key.scheme),
            ];
            Extras::start(options, request, &mut operation, is_named, attributes)
        });
        Self {
            key,
            method: method_name,
            has_route: route.is_some() || !(is_tracing() || is_metering()),
            is_head: request.method() == actix_web::http::Method::HEAD,
            #[cfg(feature = "diesel")]
            repeats,
            extras,
            operation,
        }
    }

    pub(super) fn context(&self) -> &Context {
        self.operation.context()
    }

    /// The response's head is known.
    pub(super) fn head<B>(&mut self, response: &mut ServiceResponse<B>) {
        self.update_route(response);
        if let Some(extras) = &self.extras {
            extras.complete_head(&self.operation, response);
        }
    }

    /// A chunk of the response's body was sent.
    pub(super) fn sent(&mut self, bytes: usize) {
        if let Some(extras) = &mut self.extras {
            extras.sent(bytes);
        }
    }

    /// Names the span after the route if an inner middleware changed the path, so that it matched only then.
    fn update_route<B>(&mut self, response: &ServiceResponse<B>) {
        if self.has_route {
            return;
        }
        if let Some(template) = response.request().match_pattern() {
            let route = Route::of(self.method, template);
            if !self.extras.as_ref().is_some_and(|extras| extras.is_named) {
                self.operation.span().update_name(route.span_name);
            }
            let attribute = KeyValue::new(names::HTTP_ROUTE, route.template);
            self.operation.set_attributes(|| [attribute]);
            self.key.route = Some(route.template);
            self.operation.set_series(self.key.series());
            self.has_route = true;
        }
    }

    /// The service ended with an error instead of a response.
    pub(super) fn end_with_error(self, error: &Error) {
        if let Some(extras) = &self.extras {
            extras.log_error(&self.operation, error);
        }
        self.end(error.as_response_error().status_code());
    }

    /// The whole response was sent.
    pub(super) fn end(self, status: StatusCode) {
        self.end_as(status, server_error(status));
    }

    /// The response's head was sent, but not its whole body.
    pub(super) fn end_incomplete(self, status: StatusCode, error: &'static str) {
        self.end_as(status, Some(Cow::Borrowed(error)));
    }

    fn end_as(mut self, status: StatusCode, error: Option<ErrorType>) {
        #[cfg(feature = "diesel")]
        if let Some(repeats) = &self.repeats {
            repeats.report(&self.operation);
        }
        let code = i64::from(status.as_u16());
        self.operation
            .set_attributes(|| [KeyValue::new(names::HTTP_RESPONSE_STATUS_CODE, code)]);
        self.key.status = Some(status.as_u16());
        if let Some(extras) = &mut self.extras {
            extras.end(&mut self.operation, || self.key.attributes().collect());
        }
        self.operation.set_series(self.key.series());
        self.operation.end(error);
    }
}

/// Counts the statements of the request from here on, if its span is recorded.
#[cfg(feature = "diesel")]
fn count_statements(mut operation: Operation) -> (Operation, Option<Repeats>) {
    let repeats = operation.span().is_recording().then(Repeats::default);
    if let Some(repeats) = &repeats {
        operation.add_to_context(repeats.clone());
    }
    (operation, repeats)
}

/// The attributes of the span that the metric does not have.
fn span_attributes<'a>(
    request: &'a ServiceRequest,
    local: &'a Local,
    unknown_method: bool,
) -> impl Iterator<Item = KeyValue> + 'a {
    let text = |name, text: &str| KeyValue::new(name, truncated(text));
    let query = Some(request.query_string()).filter(|query| !query.is_empty());
    let method = unknown_method.then(|| request.method().as_str());
    let agent = request.headers().get(header::USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok());
    let authorized = request.headers().contains_key(header::AUTHORIZATION);
    let local_address = local.address.clone();
    let peer = request.peer_addr();
    // An IPv4 address on an IPv6 socket is shown as IPv4.
    let shown = |ip: IpAddr| Arc::<str>::from(ip.to_canonical().to_string());
    let peer_address = peer.map(|peer| shown(peer.ip()));
    let named = request
        .extensions()
        .get::<ClientAddress>()
        .map(|named| shown(named.0));
    [
        Some(text(names::URL_PATH, request.path())),
        Some(KeyValue::new(names::NETWORK_PROTOCOL_NAME, "http")),
        Some(KeyValue::new(names::HTTP_AUTH_PRESENT, authorized)),
        Some(KeyValue::new(names::SERVER_PORT, local.port)),
        local_address.map(|address| KeyValue::new(names::SERVER_ADDRESS, address)),
        query.map(|query| text(names::URL_QUERY, &redact::query(query))),
        method.map(|method| text(names::HTTP_REQUEST_METHOD_ORIGINAL, method)),
        named
            .or_else(|| peer_address.clone())
            .map(|address| KeyValue::new(names::CLIENT_ADDRESS, address)),
        peer_address.map(|address| KeyValue::new(names::NETWORK_PEER_ADDRESS, address)),
        peer.map(|peer| KeyValue::new(names::NETWORK_PEER_PORT, i64::from(peer.port()))),
        agent.map(|agent| text(names::USER_AGENT_ORIGINAL, agent)),
    ]
    .into_iter()
    .flatten()
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

/// `error.type` of a server: a 4xx is the client's error.
fn server_error(status: StatusCode) -> Option<ErrorType> {
    status
        .is_server_error()
        .then(|| Cow::Owned(status.as_u16().to_string()))
}

//! The server middleware for actix-web: a SERVER span for each request, named `{method} {http.route}` and never by the raw path.
//! It continues the caller's trace, and ends with the last byte of the body, or when the client goes away.

use std::borrow::Cow;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};

use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::{StatusCode, Version, header};
use actix_web::{Error, web::Bytes};
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{FutureExt, SpanBuilder, SpanKind, TraceContextExt};
use opentelemetry::{Context, KeyValue, global};

use super::{OTHER_METHOD, UNKNOWN_NAME, known_method, redact};
use crate::metrics::instruments;
use crate::names;
use crate::operation::{CANCELLED, ErrorType, Operation};

/// What to make of a trace context that a caller sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inbound {
    /// Trust it: the request's span is its child, and its sampling decision holds.
    #[default]
    Parent,
    /// Start a new trace that links to it.
    Link,
    /// Take no notice of it.
    Ignore,
}

impl std::str::FromStr for Inbound {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "parent" => Ok(Self::Parent),
            "link" => Ok(Self::Link),
            "ignore" => Ok(Self::Ignore),
            _ => Err(()),
        }
    }
}

/// The middleware. Wrap the whole app with it, outermost but for what changes paths.
#[derive(Debug, Clone, Default)]
pub struct Tracing {
    inbound: Inbound,
    excluded: Vec<&'static str>,
}

impl Tracing {
    /// Traces every request, and trusts a caller's trace context.
    pub fn new() -> Self {
        Self::default()
    }

    /// What to make of a caller's trace context.
    #[must_use]
    pub fn inbound(mut self, inbound: Inbound) -> Self {
        self.inbound = inbound;
        self
    }

    /// Makes no spans for this path, nor for paths below it.
    #[must_use]
    pub fn exclude(mut self, path: &'static str) -> Self {
        self.excluded.push(path);
        self
    }

    fn is_excluded(&self, path: &str) -> bool {
        let below = |excluded: &&str| {
            path.strip_prefix(*excluded)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.excluded.iter().any(below)
    }
}

impl<S, B> Transform<S, ServiceRequest> for Tracing
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody,
{
    type Response = ServiceResponse<TracedBody<B>>;
    type Error = Error;
    type Transform = TracingService<S>;
    type InitError = ();
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(TracingService {
            service: Rc::new(service),
            tracing: self.clone(),
        }))
    }
}

/// The middleware at work; made by [`Tracing`].
#[derive(Debug)]
pub struct TracingService<S> {
    service: Rc<S>,
    tracing: Tracing,
}

impl<S, B> Service<ServiceRequest> for TracingService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody,
{
    type Response = ServiceResponse<TracedBody<B>>;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Error>>>>;

    actix_web::dev::forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        if self.tracing.is_excluded(request.path()) {
            let response = self.service.call(request);
            return Box::pin(async move {
                Ok(response
                    .await?
                    .map_body(|_, body| TracedBody::untraced(body)))
            });
        }
        let operation = start(&request, self.tracing.inbound);
        let context = operation.context().clone();
        let response = self.service.call(request).with_context(context);
        Box::pin(async move {
            match response.await {
                Ok(response) => Ok(finish_with_body(operation, response)),
                Err(error) => {
                    end(operation, error.as_response_error().status_code());
                    Err(error)
                }
            }
        })
    }
}

fn start(request: &ServiceRequest, inbound: Inbound) -> Operation {
    let method = known_method(request.method().as_str());
    let route = request.match_pattern();
    let name = match (method, &route) {
        (Some(method), Some(route)) => Cow::Owned(format!("{method} {route}")),
        (method, _) => Cow::Borrowed(method.unwrap_or(UNKNOWN_NAME)),
    };
    let mut span = SpanBuilder::from_name(name).with_kind(SpanKind::Server);
    let caller = match inbound {
        Inbound::Ignore => Context::new(),
        _ => global::get_text_map_propagator(|propagator| {
            propagator.extract_with_context(&Context::new(), &Headers(request.headers()))
        }),
    };
    let parent = match inbound {
        Inbound::Link if caller.has_active_span() => {
            let link =
                opentelemetry::trace::Link::with_context(caller.span().span_context().clone());
            span = span.with_links(vec![link]);
            Context::new()
        }
        _ => caller,
    };

    let mut common = vec![
        KeyValue::new(names::HTTP_REQUEST_METHOD, method.unwrap_or(OTHER_METHOD)),
        KeyValue::new(names::URL_SCHEME, scheme(request)),
    ];
    common.extend(route.map(|route| KeyValue::new(names::HTTP_ROUTE, route)));
    let operation = Operation::start(
        span,
        &parent,
        &instruments().http_server_duration,
        common.clone(),
    );
    operation.describe(|| {
        common.extend(request_attributes(request, method.is_none()));
        common
    });
    operation
}

fn request_attributes(request: &ServiceRequest, unknown_method: bool) -> Vec<KeyValue> {
    let mut attributes = vec![
        KeyValue::new(names::URL_PATH, request.path().to_owned()),
        KeyValue::new(names::NETWORK_PROTOCOL_NAME, "http"),
        KeyValue::new(
            names::HTTP_AUTH_PRESENT,
            request.headers().contains_key(header::AUTHORIZATION),
        ),
    ];
    if !request.query_string().is_empty() {
        let query = redact::query(request.query_string()).into_owned();
        attributes.push(KeyValue::new(names::URL_QUERY, query));
    }
    if unknown_method {
        let method = request.method().as_str().to_owned();
        attributes.push(KeyValue::new(names::HTTP_REQUEST_METHOD_ORIGINAL, method));
    }
    if let Some(version) = protocol_version(request.version()) {
        attributes.push(KeyValue::new(names::NETWORK_PROTOCOL_VERSION, version));
    }
    // The address that the service listens on, never the Host header: a client writes that.
    let local = request.app_config().local_addr();
    attributes.push(KeyValue::new(names::SERVER_ADDRESS, local.ip().to_string()));
    attributes.push(KeyValue::new(names::SERVER_PORT, i64::from(local.port())));
    if let Some(peer) = request.peer_addr() {
        let address = peer.ip().to_string();
        attributes.push(KeyValue::new(names::CLIENT_ADDRESS, address.clone()));
        attributes.push(KeyValue::new(names::NETWORK_PEER_ADDRESS, address));
        attributes.push(KeyValue::new(
            names::NETWORK_PEER_PORT,
            i64::from(peer.port()),
        ));
    }
    let user_agent = request.headers().get(header::USER_AGENT);
    if let Some(agent) = user_agent.and_then(|agent| agent.to_str().ok()) {
        attributes.push(KeyValue::new(names::USER_AGENT_ORIGINAL, agent.to_owned()));
    }
    attributes
}

fn scheme(request: &ServiceRequest) -> &'static str {
    if request.app_config().secure() {
        "https"
    } else {
        "http"
    }
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

/// Hands the operation to the body, which ends it. A body of no bytes may never be polled, so it ends here.
fn finish_with_body<B: MessageBody>(
    operation: Operation,
    response: ServiceResponse<B>,
) -> ServiceResponse<TracedBody<B>> {
    let status = response.status();
    match response.response().body().size() {
        BodySize::None | BodySize::Sized(0) => {
            end(operation, status);
            response.map_body(|_, body| TracedBody::untraced(body))
        }
        _ => response.map_body(|_, body| TracedBody {
            body,
            open: Some(OpenResponse { operation, status }),
        }),
    }
}

fn end(mut operation: Operation, status: StatusCode) {
    describe_status(&mut operation, status);
    operation.end(server_error(status));
}

fn describe_status(operation: &mut Operation, status: StatusCode) {
    let code = i64::from(status.as_u16());
    operation.describe_both(KeyValue::new(names::HTTP_RESPONSE_STATUS_CODE, code));
}

/// A 4xx is the client's error, not this service's.
fn server_error(status: StatusCode) -> Option<ErrorType> {
    status
        .is_server_error()
        .then(|| Cow::Owned(status.as_u16().to_string()))
}

#[derive(Debug)]
struct OpenResponse {
    operation: Operation,
    status: StatusCode,
}

impl OpenResponse {
    fn sent(self) {
        end(self.operation, self.status);
    }

    fn broken(mut self, error: &'static str) {
        describe_status(&mut self.operation, self.status);
        self.operation.end(Some(Cow::Borrowed(error)));
    }
}

pin_project_lite::pin_project! {
    /// A response body that ends its request's span.
    #[derive(Debug)]
    pub struct TracedBody<B> {
        #[pin]
        body: B,
        open: Option<OpenResponse>,
    }

    impl<B> PinnedDrop for TracedBody<B> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(open) = this.project().open.take() {
                open.broken(CANCELLED);
            }
        }
    }
}

impl<B> TracedBody<B> {
    fn untraced(body: B) -> Self {
        Self { body, open: None }
    }
}

impl<B: MessageBody> MessageBody for TracedBody<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        task: &mut TaskContext<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let this = self.project();
        let polled = this.body.poll_next(task);
        match &polled {
            Poll::Ready(None) => {
                if let Some(open) = this.open.take() {
                    open.sent();
                }
            }
            Poll::Ready(Some(Err(_))) => {
                if let Some(open) = this.open.take() {
                    open.broken("body");
                }
            }
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        polled
    }
}

struct Headers<'a>(&'a header::HeaderMap);

impl Extractor for Headers<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(header::HeaderName::as_str).collect()
    }
}

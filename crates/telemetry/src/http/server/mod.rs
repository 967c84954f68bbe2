//! The server middleware for actix-web: a SERVER span for each request, named `{method} {http.route}` and
//! never by the raw path. It continues the caller's trace, and ends with the last byte of the body, or when
//! the client disconnects.
//!
//! ```no_run
//! use actix_web::{App, HttpServer, web};
//! use throughline_telemetry::http::server::{Inbound, Tracing};
//!
//! # async fn run() -> std::io::Result<()> {
//! HttpServer::new(|| {
//!     App::new()
//!         .route("/parcels/{id}", web::get().to(|| async { "parcel" }))
//!         .wrap(Tracing::new().inbound(Inbound::Link).exclude("/health"))
//! })
//! .bind(("127.0.0.1", 8080))?
//! .run()
//! .await
//! # }
//! ```
//!
//! All that follows is off by default:
//!
//! ```
//! use opentelemetry::KeyValue;
//! use throughline_telemetry::http::server::Tracing;
//!
//! let tracing = Tracing::new()
//!     .exclude_if(|request| request.path().ends_with(".css"))
//!     .trusted_proxies("10.0.0.0/8".parse().unwrap())
//!     .capture_request_headers(["x-parcel-kind"])
//!     .on_response(|head| vec![KeyValue::new("parcel.redirected", head.status.is_redirection())])
//!     .request_id()
//!     .trace_response()
//!     .active_requests()
//!     .body_sizes();
//! ```

mod body;
mod extras;
mod inbound;
mod options;
mod proxies;
mod request;
mod route;
mod text;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::future::{Future, Ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use opentelemetry::trace::{FutureExt, WithContext};
use opentelemetry::{Context, KeyValue};

use self::options::{Headers, Options};
use self::request::{Local, Request};
use crate::process;
use crate::span::Untraced;

pub use body::TracedBody;
pub use extras::{RequestId, ServerSpan};
pub use inbound::{ClientAddress, Inbound};
pub use options::ResponseHead;
pub use proxies::TrustedProxies;

/// The middleware. Wrap the whole app with it last, so that it is outermost.
#[derive(Debug, Clone, Default)]
#[must_use]
pub struct Tracing {
    inbound: Inbound,
    excluded: Vec<&'static str>,
    address: Option<SocketAddr>,
    options: Option<Arc<Options>>,
}

impl Tracing {
    /// Traces every request, and trusts a caller's trace context.
    pub fn new() -> Self {
        Self::default()
    }

    /// How a caller's trace context is used.
    pub fn inbound(mut self, inbound: Inbound) -> Self {
        self.inbound = inbound;
        self
    }

    /// The server's address, if it is not in the app's configuration, where `HttpServer` sets it.
    pub fn listening_on(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Makes no spans for this path and those below it.
    pub fn exclude(mut self, path: &'static str) -> Self {
        self.excluded.push(path);
        self
    }

    /// Makes no spans for requests that `excludes` accepts.
    pub fn exclude_if(self, excludes: impl Fn(&ServiceRequest) -> bool + Send + Sync + 'static) -> Self {
        self.with(|options| options.exclude_if = Some(Arc::new(excludes)))
    }

    /// Names the spans of some requests. Names are of a bounded set: never a path, never a value.
    pub fn span_name(
        self,
        name: impl Fn(&ServiceRequest) -> Option<Cow<'static, str>> + Send + Sync + 'static,
    ) -> Self {
        self.with(|options| options.span_name = Some(Arc::new(name)))
    }

    /// Adds attributes to the span of each request that is recorded, at its start.
    pub fn on_request(
        self,
        attributes: impl Fn(&ServiceRequest) -> Vec<KeyValue> + Send + Sync + 'static,
    ) -> Self {
        self.with(|options| options.on_request = Some(Arc::new(attributes)))
    }

    /// Adds attributes to the span of each request that is recorded, once the head of its response is known.
    pub fn on_response(
        self,
        attributes: impl Fn(ResponseHead<'_>) -> Vec<KeyValue> + Send + Sync + 'static,
    ) -> Self {
        self.with(|options| options.on_response = Some(Arc::new(attributes)))
    }

    /// Adds attributes to both the span of a request and its `http.server.request.duration`. They have few
    /// values: each set of them is a time series.
    pub fn metric_attributes(
        self,
        attributes: impl Fn(&ServiceRequest) -> Vec<KeyValue> + Send + Sync + 'static,
    ) -> Self {
        self.with(|options| options.metric_attributes = Some(Arc::new(attributes)))
    }

    /// Records these headers of requests, as `http.request.header.{name}`. Values are masked like any other
    /// attribute; of headers with credentials, such as `Authorization`, only the presence is recorded.
    pub fn capture_request_headers<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let headers = Headers::new("http.request.header.", names);
        self.with(|options| options.request_headers = headers)
    }

    /// Records these headers of responses, as `http.response.header.{name}`.
    pub fn capture_response_headers<'a>(self, names: impl IntoIterator<Item = &'a str>) -> Self {
        let headers = Headers::new("http.response.header.", names);
        self.with(|options| options.response_headers = headers)
    }

    /// Believes these proxies about `client.address`. Handlers find it as [`ClientAddress`] in the request's
    /// extensions.
    pub fn trusted_proxies(self, proxies: TrustedProxies) -> Self {
        self.with(|options| options.proxies = proxies)
    }

    /// Names each request in the response's header `X-Request-Id`: by the caller's choice, or else the trace
    /// id. It is `http.request.id` of the span and of log records, and a [`RequestId`] in the request's
    /// extensions.
    pub fn request_id(self) -> Self {
        self.with(|options| options.request_id = true)
    }

    /// Sends the span in the response's header `traceresponse`.
    /// <https://www.w3.org/TR/trace-context-2/#traceresponse-header>
    pub fn trace_response(self) -> Self {
        self.with(|options| options.traceresponse = true)
    }

    /// Measures `http.server.active_requests`.
    pub fn active_requests(self) -> Self {
        self.with(|options| options.active_requests = true)
    }

    /// Measures `http.server.request.body.size` and `http.server.response.body.size`, and adds the sizes to
    /// the span. A request's size is that of its `Content-Length`.
    pub fn body_sizes(self) -> Self {
        self.with(|options| options.body_sizes = true)
    }

    /// Lets handlers extract the request's span, as [`ServerSpan`].
    pub fn server_span(self) -> Self {
        self.with(|options| options.server_span = true)
    }

    /// Logs the error of a handler that becomes a 5xx, as a record of the request's span.
    pub fn log_errors(self) -> Self {
        self.with(|options| options.log_errors = true)
    }

    fn with(mut self, change: impl FnOnce(&mut Options)) -> Self {
        change(Arc::make_mut(self.options.get_or_insert_default()));
        self
    }

    fn excludes(&self, request: &ServiceRequest) -> bool {
        let by_options = |options: &Arc<Options>| options.excludes(request);
        self.is_excluded(request.path()) || self.options.as_ref().is_some_and(by_options)
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
        // Each worker of actix-web makes the app once, on its own thread.
        process::add_of_thread();
        std::future::ready(Ok(TracingService {
            service,
            tracing: self.clone(),
            local: OnceCell::new(),
        }))
    }
}

/// The service of the middleware, created by [`Tracing`].
#[derive(Debug)]
pub struct TracingService<S> {
    service: S,
    tracing: Tracing,
    /// Known from this worker's first request on.
    local: OnceCell<Local>,
}

impl<S, B> Service<ServiceRequest> for TracingService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    B: MessageBody,
{
    type Response = ServiceResponse<TracedBody<B>>;
    type Error = Error;
    type Future = TracedResponse<S::Future>;

    actix_web::dev::forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        if self.tracing.excludes(&request) {
            let untraced = Context::new().with_value(Untraced);
            return TracedResponse {
                response: self.service.call(request).with_context(untraced),
                request: None,
            };
        }
        let local = self
            .local
            .get_or_init(|| Local::of(&request, self.tracing.address));
        let options = self.tracing.options.as_ref();
        let traced = Request::start(&request, self.tracing.inbound, local, options);
        let context = traced.context().clone();
        let response = {
            // A handler may start to work before its future is polled.
            let _entered = context.clone().attach();
            self.service.call(request)
        };
        TracedResponse {
            response: response.with_context(context),
            request: Some(traced),
        }
    }
}

pin_project_lite::pin_project! {
    /// The future of a response, inside the span of its request.
    #[derive(Debug)]
    pub struct TracedResponse<F> {
        #[pin]
        response: WithContext<F>,
        request: Option<Request>,
    }
}

impl<F, B> Future for TracedResponse<F>
where
    F: Future<Output = Result<ServiceResponse<B>, Error>>,
    B: MessageBody,
{
    type Output = Result<ServiceResponse<TracedBody<B>>, Error>;

    fn poll(self: Pin<&mut Self>, task: &mut TaskContext<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let result = ready!(this.response.poll(task));
        Poll::Ready(match (result, this.request.take()) {
            (Ok(response), Some(request)) => Ok(body::trace(request, response)),
            (Ok(response), None) => Ok(response.map_body(|_, body| TracedBody::untraced(body))),
            (Err(error), request) => {
                if let Some(request) = request {
                    request.end_with_error(&error);
                }
                Err(error)
            }
        })
    }
}

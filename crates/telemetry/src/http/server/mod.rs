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

mod body;
mod inbound;
mod request;
mod route;

use std::cell::OnceCell;
use std::future::{Future, Ready};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll, ready};

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use opentelemetry::Context;
use opentelemetry::trace::{FutureExt, WithContext};

use self::request::{Local, Request};
use crate::span::Untraced;

pub use body::TracedBody;
pub use inbound::{ClientAddress, Inbound};

/// The middleware. Wrap the whole app with it last, so that it is outermost.
#[derive(Debug, Clone, Default)]
pub struct Tracing {
    inbound: Inbound,
    excluded: Vec<&'static str>,
    address: Option<SocketAddr>,
}

impl Tracing {
    /// Traces every request, and trusts a caller's trace context.
    pub fn new() -> Self {
        Self::default()
    }

    /// How a caller's trace context is used.
    #[must_use]
    pub fn inbound(mut self, inbound: Inbound) -> Self {
        self.inbound = inbound;
        self
    }

    /// The server's address, if it is not in the app's configuration, where `HttpServer` sets it.
    #[must_use]
    pub fn listening_on(mut self, address: SocketAddr) -> Self {
        self.address = Some(address);
        self
    }

    /// Makes no spans for this path and those below it.
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
        if self.tracing.is_excluded(request.path()) {
            let untraced = Context::new().with_value(Untraced);
            return TracedResponse {
                response: self.service.call(request).with_context(untraced),
                request: None,
            };
        }
        let local = self
            .local
            .get_or_init(|| Local::of(&request, self.tracing.address));
        let traced = Request::start(&request, self.tracing.inbound, local);
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
                    request.end(error.as_response_error().status_code());
                }
                Err(error)
            }
        })
    }
}

//! A request for which the middleware does more than its span: see [`super::options`].

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::{Arc, LazyLock};

use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use opentelemetry::metrics::{Histogram, UpDownCounter};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, KeyValue, Value};
use uuid::Uuid;

use super::options::{Options, ResponseHead};
use crate::metrics::{histogram, up_down_counter};
use crate::names;
use crate::operation::Operation;
use crate::propagation::trace_context::traceparent;
use crate::scope::is_metering;
use crate::span::RequestId as RequestIdOfContext;

static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static TRACE_RESPONSE: HeaderName = HeaderName::from_static("traceresponse");
/// Characters of an id that a caller chooses.
const MAX_REQUEST_ID_LEN: usize = 128;
/// The buckets of body sizes, in bytes.
const SIZE_BUCKETS: &[f64] = &[
    0.0,
    256.0,
    1_024.0,
    4_096.0,
    16_384.0,
    65_536.0,
    262_144.0,
    1_048_576.0,
    4_194_304.0,
    16_777_216.0,
];

/// The id of a request, in its extensions, of [`Tracing::request_id`](super::Tracing::request_id).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequestId(pub Arc<str>);

/// The span of the request, whatever span is current: an extractor of handlers, of
/// [`Tracing::server_span`](super::Tracing::server_span).
///
/// ```
/// use throughline_telemetry::http::server::ServerSpan;
///
/// async fn parcel(server: ServerSpan) -> &'static str {
///     server.set("parcel.id", 7_i64);
///     "parcel 7"
/// }
/// ```
#[derive(Debug, Clone)]
pub struct ServerSpan(Context);

impl ServerSpan {
    /// Sets an attribute of the request's span.
    pub fn set(&self, name: &'static str, value: impl Into<Value>) {
        let span = self.0.span();
        if span.is_recording() {
            span.set_attribute(KeyValue::new(name, value));
        }
    }
}

/// It has no span if the middleware does not provide one, so that a handler can be tested without it.
impl FromRequest for ServerSpan {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let span = request.extensions().get::<Self>().cloned();
        ready(Ok(span.unwrap_or_else(|| Self(Context::new()))))
    }
}

#[derive(Debug)]
pub(super) struct Extras {
    options: Arc<Options>,
    /// Whether the service named the span.
    pub(super) is_named: bool,
    request_id: Option<HeaderValue>,
    request_size: Option<u64>,
    response_size: u64,
    /// Further attributes of the span and of `http.server.request.duration`.
    shared_attributes: Vec<KeyValue>,
    _active: Option<Active>,
}

impl Extras {
    /// `attributes` are those of the request that its metrics may have.
    pub(super) fn start<const N: usize>(
        options: &Arc<Options>,
        request: &ServiceRequest,
        operation: &mut Operation,
        is_named: bool,
        attributes: [KeyValue; N],
    ) -> Box<Self> {
        operation.set_attributes(|| options.request_attributes(request));
        let request_id = options
            .request_id
            .then(|| request_id(request, operation.context()));
        if let Some(id) = &request_id {
            request.extensions_mut().insert(RequestId(Arc::clone(id)));
            operation.set_attributes(|| [KeyValue::new(names::HTTP_REQUEST_ID, Arc::clone(id))]);
            operation.add_to_context(RequestIdOfContext(Arc::clone(id)));
        }
        if options.server_span {
            let span = ServerSpan(operation.context().clone());
            request.extensions_mut().insert(span);
        }
        let is_counted = options.active_requests && is_metering();
        Box::new(Self {
            options: Arc::clone(options),
            is_named,
            request_id: request_id.and_then(|id| HeaderValue::try_from(&*id).ok()),
            request_size: request_size(request.headers()),
            response_size: 0,
            shared_attributes: options
                .metric_attributes
                .as_ref()
                .map(|attributes| attributes(request))
                .unwrap_or_default(),
            _active: is_counted.then(|| Active::start(attributes.into())),
        })
    }

    /// Completes the response's head, and adds its attributes to the span.
    pub(super) fn complete_head<B>(&self, operation: &Operation, response: &mut ServiceResponse<B>) {
        if let Some(id) = &self.request_id {
            response.headers_mut().insert(REQUEST_ID.clone(), id.clone());
        }
        let span = operation.span();
        let span = span.span_context();
        if self.options.traceresponse
            && span.is_valid()
            && let Ok(value) = HeaderValue::try_from(traceparent(span))
        {
            response.headers_mut().insert(TRACE_RESPONSE.clone(), value);
        }
        if let Some(error) = response.response().error() {
            self.log_error(operation, error);
        }
        operation.set_attributes(|| {
            self.options.response_attributes(ResponseHead {
                request: response.request(),
                status: response.status(),
                headers: response.headers(),
            })
        });
    }

    /// Logs the error that became the response, in the request's span.
    pub(super) fn log_error(&self, operation: &Operation, error: &actix_web::Error) {
        if self.options.log_errors && error.as_response_error().status_code().is_server_error() {
            let _entered = operation.context().clone().attach();
            tracing::error!(
                { names::EXCEPTION_TYPE } = std::any::type_name::<actix_web::Error>(),
                { names::EXCEPTION_MESSAGE } = %error,
                "a request failed"
            );
        }
    }

    /// Counts bytes of the response's body that were sent.
    pub(super) fn sent(&mut self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        self.response_size = self.response_size.saturating_add(bytes);
    }

    /// Adds the service's attributes of metrics, and records the sizes of the bodies. `attributes` are those
    /// of the metrics of sizes.
    pub(super) fn end(&mut self, operation: &mut Operation, attributes: impl FnOnce() -> Vec<KeyValue>) {
        for attribute in self.shared_attributes.drain(..) {
            operation.set_shared_attribute(attribute);
        }
        if !self.options.body_sizes {
            return;
        }
        let whole = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
        operation.set_attributes(|| {
            let request = self.request_size.map(whole);
            let response = KeyValue::new(names::HTTP_RESPONSE_BODY_SIZE, whole(self.response_size));
            let request = request.map(|size| KeyValue::new(names::HTTP_REQUEST_BODY_SIZE, size));
            request.into_iter().chain([response])
        });
        if is_metering() {
            let attributes = attributes();
            if let Some(size) = self.request_size {
                SIZES.request.record(float(size), &attributes);
            }
            SIZES.response.record(float(self.response_size), &attributes);
        }
    }
}

/// The caller's id if it is usable, else the trace id; a new one for a request that is not traced.
fn request_id(request: &ServiceRequest, context: &Context) -> Arc<str> {
    let mut values = request.headers().get_all(&REQUEST_ID);
    let callers = match (values.next(), values.next()) {
        (Some(value), None) => value.to_str().ok(),
        _ => None,
    };
    let is_usable = |id: &&str| {
        (1..=MAX_REQUEST_ID_LEN).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if let Some(id) = callers.filter(is_usable) {
        return id.into();
    }
    let span = context.span();
    let span = span.span_context();
    if span.is_valid() {
        span.trace_id().to_string().into()
    } else {
        Uuid::new_v4().to_string().into()
    }
}

/// By its header: a request without one, sent in chunks, has no size here.
fn request_size(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

#[allow(
    clippy::as_conversions,
    reason = "there is no other, and it rounds only above 2^53"
)]
#[allow(clippy::cast_precision_loss, reason = "as above")]
fn float(size: u64) -> f64 {
    size as f64
}

struct Sizes {
    request: Histogram<f64>,
    response: Histogram<f64>,
}

static SIZES: LazyLock<Sizes> = LazyLock::new(|| Sizes {
    request: histogram(
        "http.server.request.body.size",
        "By",
        "Size of HTTP server request bodies.",
        SIZE_BUCKETS,
    ),
    response: histogram(
        "http.server.response.body.size",
        "By",
        "Size of HTTP server response bodies.",
        SIZE_BUCKETS,
    ),
});

/// A request that counts as active until this is dropped.
#[derive(Debug)]
struct Active(Vec<KeyValue>);

static ACTIVE: LazyLock<UpDownCounter<i64>> = LazyLock::new(|| {
    up_down_counter(
        "http.server.active_requests",
        "{request}",
        "Number of active HTTP server requests.",
    )
});

impl Active {
    fn start(attributes: Vec<KeyValue>) -> Self {
        ACTIVE.add(1, &attributes);
        Self(attributes)
    }
}

impl Drop for Active {
    fn drop(&mut self) {
        ACTIVE.add(-1, &self.0);
    }
}

//! Functions for the current span. A service's own steps are spans of `tracing`; [`within`] makes one at a
//! lower cost.
//!
//! ```
//! use throughline_telemetry::span;
//!
//! #[tracing::instrument(skip_all, fields(parcel.id = id))]
//! fn deliver(id: i64) {
//!     span::set("parcel.weight", 7_i64);
//!     span::fail("no_such_address");
//! }
//! # deliver(1);
//! ```

use std::borrow::Cow;
use std::sync::Arc;

use opentelemetry::trace::{FutureExt, SpanBuilder, SpanKind, Status, TraceContextExt};
use opentelemetry::{Context, KeyValue, Value};

use crate::names;
use crate::operation::Operation;

/// The trace id of the current span, 32 hexadecimal digits; `None` outside a trace.
pub fn current_trace_id() -> Option<String> {
    let context = Context::current();
    let span = context.span();
    let span_context = span.span_context();
    span_context
        .is_valid()
        .then(|| span_context.trace_id().to_string())
}

/// Sets an attribute of the current span.
pub fn set(name: &'static str, value: impl Into<Value>) {
    let context = Context::current();
    let span = context.span();
    if span.is_recording() {
        span.set_attribute(KeyValue::new(name, value));
    }
}

/// Marks the current span as failed. `error_type` is a word of a bounded set, never a message.
pub fn fail(error_type: impl Into<Cow<'static, str>>) {
    let context = Context::current();
    let span = context.span();
    if span.is_recording() {
        span.set_attribute(KeyValue::new(names::ERROR_TYPE, error_type.into()));
        span.set_status(Status::error(""));
    }
}

/// Runs a step of the service inside an INTERNAL span. A span of `tracing` does the same, and takes three
/// times as many instructions: this is for the steps of every request. The attributes are not made if the
/// span is not recorded. If the future is dropped before its end, the span ends as `cancelled`.
pub async fn within<F: Future, const N: usize>(
    name: &'static str,
    attributes: impl FnOnce() -> [KeyValue; N],
    step: F,
) -> F::Output {
    let Some(operation) = start_step(|| name, attributes) else {
        return step.await;
    };
    let result = step.with_context(operation.context().clone()).await;
    operation.end(None);
    result
}

/// Starts the INTERNAL span of a step; `None` inside of [`untraced`] work.
pub(crate) fn start_step<const N: usize>(
    name: impl FnOnce() -> &'static str,
    attributes: impl FnOnce() -> [KeyValue; N],
) -> Option<Operation> {
    let parent = Context::current();
    if parent.get::<Untraced>().is_some() || parent.is_telemetry_suppressed() {
        return None;
    }
    let span = SpanBuilder::from_name(name()).with_kind(SpanKind::Internal);
    Some(Operation::start(span, &parent, None, attributes))
}

/// The work in the current context, wherever it runs: another thread has another context.
///
/// ```
/// # async fn run() -> Result<i64, tokio::task::JoinError> {
/// use throughline_telemetry::span::carried;
///
/// let counted = tokio::task::spawn_blocking(carried(|| 7)).await?;
/// # Ok(counted)
/// # }
/// ```
pub fn carried<T>(work: impl FnOnce() -> T) -> impl FnOnce() -> T {
    let context = Context::current();
    move || {
        let _entered = context.attach();
        work()
    }
}

/// Runs a future without spans, for the polls of a loop. Its log records and metrics are still exported.
pub async fn untraced<F: Future>(future: F) -> F::Output {
    future.with_context(Context::new().with_value(Untraced)).await
}

/// Runs a future whose log records, and the current span, carry this `http.request.id`.
pub async fn with_request_id<F: Future>(id: String, future: F) -> F::Output {
    let id: Arc<str> = id.into();
    set(names::HTTP_REQUEST_ID, Arc::clone(&id));
    let context = Context::current_with_value(RequestId(id));
    future.with_context(context).await
}

/// The request that the current context belongs to.
#[derive(Debug)]
pub(crate) struct RequestId(pub(crate) Arc<str>);

pub(crate) fn current_request_id() -> Option<Arc<str>> {
    Context::map_current(|context| context.get::<RequestId>().map(|RequestId(id)| Arc::clone(id)))
}

/// Marks a context without spans of the service. It has no parent for those of the integrations.
#[derive(Debug)]
pub(crate) struct Untraced;

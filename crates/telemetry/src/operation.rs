//! One instrumented operation: its span and its metric, which end together, exactly once, and carry the same `error.type`. A
//! future that is dropped half-way ends them as `cancelled`.

use std::borrow::Cow;
use std::time::Instant;

use opentelemetry::metrics::Histogram;
use opentelemetry::trace::{SpanBuilder, SpanRef, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

use crate::names;
use crate::setup::tracer;

/// `error.type` of an operation whose future was dropped before it ended.
pub(crate) const CANCELLED: &str = "cancelled";

/// What a failed operation says of itself: a word of a bounded set, never a message.
pub(crate) type ErrorType = Cow<'static, str>;

#[derive(Debug)]
pub(crate) struct Operation {
    context: Context,
    started: Instant,
    duration: &'static Histogram<f64>,
    metric_attributes: Vec<KeyValue>,
    ended: bool,
}

impl Operation {
    /// Starts the span as a child of `parent`. `duration` gets the seconds that it took, with `metric_attributes`.
    pub(crate) fn start(
        span: SpanBuilder,
        parent: &Context,
        duration: &'static Histogram<f64>,
        metric_attributes: Vec<KeyValue>,
    ) -> Self {
        let span = tracer().build_with_context(span, parent);
        Self {
            context: parent.with_span(span),
            started: Instant::now(),
            duration,
            metric_attributes,
            ended: false,
        }
    }

    /// The context in which the operation's own work runs.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn span(&self) -> SpanRef<'_> {
        self.context.span()
    }

    /// Sets attributes of the span; they are only made if somebody will see them.
    pub(crate) fn describe<I: IntoIterator<Item = KeyValue>>(
        &self,
        attributes: impl FnOnce() -> I,
    ) {
        let span = self.span();
        if span.is_recording() {
            span.set_attributes(attributes());
        }
    }

    /// Sets an attribute that the span and the metric both carry.
    pub(crate) fn describe_both(&mut self, attribute: KeyValue) {
        self.span().set_attribute(attribute.clone());
        self.metric_attributes.push(attribute);
    }

    pub(crate) fn elapsed(&self) -> std::time::Duration {
        self.started.elapsed()
    }

    /// Ends the span and records the metric. An error marks both.
    pub(crate) fn end(mut self, error: Option<ErrorType>) {
        self.end_once(error);
    }

    fn end_once(&mut self, error: Option<ErrorType>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let seconds = self.started.elapsed().as_secs_f64();
        if let Some(error) = error {
            self.describe_both(KeyValue::new(names::ERROR_TYPE, error));
            self.span().set_status(Status::error(""));
        }
        self.duration.record(seconds, &self.metric_attributes);
        self.span().end();
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        self.end_once(Some(Cow::Borrowed(CANCELLED)));
    }
}

//! One instrumented operation: its span and its metric, which end together, exactly once, and carry the same
//! `error.type`. If the future is dropped before its end, that is `cancelled`; if it panics, `panic`.
//!
//! Signals that are switched off cost nothing. A trace that is not sampled has only its first span.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::trace::{SpanBuilder, SpanKind, SpanRef, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

use crate::names;
use crate::scope::{is_metering, is_tracing, tracer};

/// `error.type` of an operation whose future was dropped before it ended.
pub(crate) const CANCELLED: &str = "cancelled";
/// `error.type` of an operation whose future panicked.
const PANIC: &str = "panic";
/// Attributes that an operation adds after its start: a status, an error and a protocol version.
const LATE_ATTRIBUTES: usize = 3;

/// `error.type`: a word of a bounded set, never a message.
pub(crate) type ErrorType = Cow<'static, str>;

/// The instruments of one kind of operation. A share of a batch has fewer than an operation of its own.
#[derive(Debug, Clone, Default)]
pub(crate) struct Measures {
    /// In seconds.
    pub(crate) duration: Option<Histogram<f64>>,
    /// Incremented when the operation ends.
    pub(crate) count: Option<Counter<u64>>,
}

impl Measures {
    /// Without instruments, for a span whose operation is measured elsewhere.
    pub(crate) const NONE: &'static Self = &Self {
        duration: None,
        count: None,
    };

    fn is_recorded(&self) -> bool {
        is_metering() && (self.duration.is_some() || self.count.is_some())
    }
}

#[derive(Debug)]
pub(crate) struct Operation {
    context: Context,
    /// `None` if neither spans nor metrics are exported.
    started: Option<Instant>,
    measures: &'static Measures,
    metric_attributes: Vec<KeyValue>,
    ended: bool,
}

impl Operation {
    /// Starts the span as a child of `parent`. A CLIENT span without a parent is not made: a trace does not
    /// begin with one. `metric_attributes` are those of the measures.
    pub(crate) fn start<I: IntoIterator<Item = KeyValue>>(
        span: SpanBuilder,
        parent: &Context,
        measures: &'static Measures,
        metric_attributes: impl FnOnce() -> I,
    ) -> Self {
        let rootless = span.span_kind == Some(SpanKind::Client) && !parent.has_active_span();
        let context = if is_tracing() && !rootless && !is_unsampled(parent) {
            parent.with_span(tracer().build_with_context(span, parent))
        } else {
            parent.clone()
        };
        Self::within(context, measures, metric_attributes)
    }

    /// Starts an operation that is measured and has no span.
    pub(crate) fn without_span<I: IntoIterator<Item = KeyValue>>(
        measures: &'static Measures,
        metric_attributes: impl FnOnce() -> I,
    ) -> Self {
        Self::within(Context::new(), measures, metric_attributes)
    }

    fn within<I: IntoIterator<Item = KeyValue>>(
        context: Context,
        measures: &'static Measures,
        metric_attributes: impl FnOnce() -> I,
    ) -> Self {
        let metric_attributes = if measures.is_recorded() {
            let attributes = metric_attributes().into_iter();
            let mut all = Vec::with_capacity(attributes.size_hint().0 + LATE_ATTRIBUTES);
            all.extend(attributes);
            all
        } else {
            Vec::new()
        };
        Self {
            context,
            started: (is_tracing() || is_metering()).then(Instant::now),
            measures,
            metric_attributes,
            ended: false,
        }
    }

    /// The context in which the operation's own work runs.
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// Adds a value to the operation's context.
    pub(crate) fn add_to_context<T: Send + Sync + 'static>(&mut self, value: T) {
        self.context = self.context.with_value(value);
    }

    pub(crate) fn span(&self) -> SpanRef<'_> {
        self.context.span()
    }

    /// Sets attributes of the span. They are not made if it is not recorded.
    pub(crate) fn set_attributes<I: IntoIterator<Item = KeyValue>>(&self, attributes: impl FnOnce() -> I) {
        let span = self.span();
        if span.is_recording() {
            span.set_attributes(attributes());
        }
    }

    /// Links the span to the spans of these contexts. They are not made if it is not recorded.
    pub(crate) fn add_links<I: IntoIterator<Item = Context>>(&self, contexts: impl FnOnce() -> I) {
        let span = self.span();
        if !span.is_recording() {
            return;
        }
        for context in contexts().into_iter().filter(Context::has_active_span) {
            span.add_link(context.span().span_context().clone(), Vec::new());
        }
    }

    /// Sets an attribute of both the span and the metric.
    pub(crate) fn set_shared_attribute(&mut self, attribute: KeyValue) {
        if self.measures.is_recorded() {
            self.set_attributes(|| [attribute.clone()]);
            self.metric_attributes.push(attribute);
        } else {
            self.set_attributes(|| [attribute]);
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.map_or(Duration::ZERO, |started| started.elapsed())
    }

    /// Ends the span and records the metric. An error marks both.
    pub(crate) fn end(mut self, error: Option<ErrorType>) {
        self.end_once(error);
    }

    fn end_once(&mut self, error: Option<ErrorType>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let seconds = self.elapsed().as_secs_f64();
        if let Some(error) = error {
            self.set_shared_attribute(KeyValue::new(names::ERROR_TYPE, error));
            self.span().set_status(Status::error(""));
        }
        if is_metering() {
            let attributes = &self.metric_attributes;
            if let Some(duration) = &self.measures.duration {
                duration.record(seconds, attributes);
            }
            if let Some(count) = &self.measures.count {
                count.add(1, attributes);
            }
        }
        self.span().end();
    }
}

/// Whether this process did not sample the context's trace. Then no sampler samples a child either.
pub(crate) fn is_unsampled(context: &Context) -> bool {
    let span = context.span();
    let span = span.span_context();
    span.is_valid() && !span.is_remote() && !span.is_sampled()
}

impl Drop for Operation {
    fn drop(&mut self) {
        let error = if std::thread::panicking() {
            PANIC
        } else {
            CANCELLED
        };
        self.end_once(Some(Cow::Borrowed(error)));
    }
}

//! One instrumented operation: its span and its metric, which end together, exactly once, and carry the same `error.type`. A
//! future that is dropped half-way ends them as `cancelled`, one that panics as `panic`.
//!
//! Where spans or metrics are switched off, nothing is made for them; where a trace is not sampled, only its first span is made.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use opentelemetry::metrics::{Counter, Histogram};
use opentelemetry::trace::{SpanBuilder, SpanKind, SpanRef, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

use crate::names;
use crate::setup::{is_metering, is_tracing, tracer};

/// `error.type` of an operation whose future was dropped before it ended.
pub(crate) const CANCELLED: &str = "cancelled";
/// `error.type` of an operation whose future panicked.
const PANIC: &str = "panic";
/// How many attributes an operation learns only while it runs: a status, an error and a protocol's version.
const LATER: usize = 3;

/// What a failed operation says of itself: a word of a bounded set, never a message.
pub(crate) type ErrorType = Cow<'static, str>;

/// The instruments of one kind of operation.
#[derive(Debug)]
pub(crate) struct Measures {
    /// Gets the seconds that the operation took.
    pub(crate) duration: Histogram<f64>,
    /// Gets 1 when it ends.
    pub(crate) count: Option<Counter<u64>>,
}

#[derive(Debug)]
pub(crate) struct Operation {
    context: Context,
    /// `None` where nobody will see how long it took.
    started: Option<Instant>,
    measures: &'static Measures,
    metric_attributes: Vec<KeyValue>,
    ended: bool,
}

impl Operation {
    /// Starts the span as a child of `parent`; a CLIENT span is only made where there is one, since a trace does not begin with
    /// it. `metric_attributes` go with the measures.
    pub(crate) fn start<I: IntoIterator<Item = KeyValue>>(
        span: SpanBuilder,
        parent: &Context,
        measures: &'static Measures,
        metric_attributes: impl FnOnce() -> I,
    ) -> Self {
        let rootless = span.span_kind == Some(SpanKind::Client) && !parent.has_active_span();
        let context = match is_tracing() && !rootless && !is_unsampled(parent) {
            true => parent.with_span(tracer().build_with_context(span, parent)),
            false => parent.clone(),
        };
        let metric_attributes = match is_metering() {
            true => {
                let attributes = metric_attributes().into_iter();
                let mut all = Vec::with_capacity(attributes.size_hint().0 + LATER);
                all.extend(attributes);
                all
            }
            false => Vec::new(),
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

    /// Puts a value into the operation's context.
    pub(crate) fn carry<T: Send + Sync + 'static>(&mut self, value: T) {
        self.context = self.context.with_value(value);
    }

    pub(crate) fn span(&self) -> SpanRef<'_> {
        self.context.span()
    }

    /// Sets attributes of the span; they are only made if somebody will see them.
    pub(crate) fn describe<I: IntoIterator<Item = KeyValue>>(&self, attributes: impl FnOnce() -> I) {
        let span = self.span();
        if span.is_recording() {
            span.set_attributes(attributes());
        }
    }

    /// Links the span to those of these contexts; like attributes, only if somebody will see it.
    pub(crate) fn link_to<I: IntoIterator<Item = Context>>(&self, others: impl FnOnce() -> I) {
        let span = self.span();
        if !span.is_recording() {
            return;
        }
        for other in others().into_iter().filter(Context::has_active_span) {
            span.add_link(other.span().span_context().clone(), Vec::new());
        }
    }

    /// Sets an attribute that the span and the metric both carry.
    pub(crate) fn describe_both(&mut self, attribute: KeyValue) {
        if is_metering() {
            self.describe(|| [attribute.clone()]);
            self.metric_attributes.push(attribute);
        } else {
            self.describe(|| [attribute]);
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
            self.describe_both(KeyValue::new(names::ERROR_TYPE, error));
            self.span().set_status(Status::error(""));
        }
        if is_metering() {
            let attributes = &self.metric_attributes;
            self.measures.duration.record(seconds, attributes);
            if let Some(count) = &self.measures.count {
                count.add(1, attributes);
            }
        }
        self.span().end();
    }
}

/// Whether the context belongs to a trace that this process decided not to record. No sampler decides otherwise further down, so
/// spans that nobody would see are not made there: what is inside goes on in their parent.
pub(crate) fn is_unsampled(context: &Context) -> bool {
    let span = context.span();
    let span = span.span_context();
    span.is_valid() && !span.is_remote() && !span.is_sampled()
}

impl Drop for Operation {
    fn drop(&mut self) {
        let error = match std::thread::panicking() {
            true => PANIC,
            false => CANCELLED,
        };
        self.end_once(Some(Cow::Borrowed(error)));
    }
}

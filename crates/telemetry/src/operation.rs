//! One instrumented operation: its span and its metric, which end together, exactly once, and carry the same
//! `error.type`. If the future is dropped before its end, that is `cancelled`; if it panics, `panic`.
//!
//! Signals that are switched off cost nothing. A trace that is not sampled has only its first span.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use opentelemetry::trace::{SpanBuilder, SpanKind, SpanRef, Status, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};

use crate::measures::Series;
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

#[derive(Debug)]
pub(crate) struct Operation {
    context: Context,
    /// `None` if neither spans nor metrics are exported.
    started: Option<(SystemTime, Instant)>,
    series: Option<Arc<Series>>,
    /// Attributes of the metric that its series does not have, such as `error.type`.
    late_attributes: Vec<KeyValue>,
    ended: bool,
}

impl Operation {
    /// Starts the span as a child of `parent`. A CLIENT span without a parent is not made: a trace does not
    /// begin with one. The attributes are those of the span; they are not made if it is not recorded.
    pub(crate) fn start<I: IntoIterator<Item = KeyValue>>(
        span: SpanBuilder,
        parent: &Context,
        series: Option<Arc<Series>>,
        attributes: impl FnOnce() -> I,
    ) -> Self {
        Self::start_at(Started::now(), span, parent, series, attributes)
    }

    /// Like [`start`](Self::start), for an operation that started earlier.
    pub(crate) fn start_at<I: IntoIterator<Item = KeyValue>>(
        Started(started): Started,
        mut span: SpanBuilder,
        parent: &Context,
        series: Option<Arc<Series>>,
        attributes: impl FnOnce() -> I,
    ) -> Self {
        span.start_time = started.map(|(time, _)| time);
        let rootless = span.span_kind == Some(SpanKind::Client) && !parent.has_active_span();
        if !is_tracing() || rootless || is_unsampled(parent) {
            return Self::within(parent.clone(), started, series);
        }
        if is_recorded_here(parent) {
            // Passed at once, they need one allocation.
            let attributes = attributes().into_iter();
            let (least, most) = attributes.size_hint();
            let mut all = Vec::with_capacity(most.unwrap_or(least) + LATE_ATTRIBUTES);
            all.extend(attributes);
            span.attributes = Some(all);
            let context = parent.with_span(tracer().build_with_context(span, parent));
            return Self::within(context, started, series);
        }
        let context = parent.with_span(tracer().build_with_context(span, parent));
        let operation = Self::within(context, started, series);
        operation.set_attributes(attributes);
        operation
    }

    /// Starts an operation that is measured and has no span.
    pub(crate) fn without_span(series: Option<Arc<Series>>) -> Self {
        Self::within(Context::new(), Started::now().0, series)
    }

    fn within(context: Context, started: Option<(SystemTime, Instant)>, series: Option<Arc<Series>>) -> Self {
        Self {
            context,
            started,
            series,
            late_attributes: Vec::new(),
            ended: false,
        }
    }

    /// Replaces the metric's series, once more of its attributes are known.
    pub(crate) fn set_series(&mut self, series: Option<Arc<Series>>) {
        self.series = series;
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
        if self.series.is_some() {
            self.set_attributes(|| [attribute.clone()]);
            self.late_attributes.push(attribute);
        } else {
            self.set_attributes(|| [attribute]);
        }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started
            .map_or(Duration::ZERO, |(_, started)| started.elapsed())
    }

    /// Ends the span where it started and records no metric: when the operation ended is not known.
    pub(crate) fn end_unknown(mut self, error: ErrorType) {
        self.ended = true;
        self.series = None;
        self.mark(error);
        if let Some((time, _)) = self.started {
            self.span().end_with_timestamp(time);
        }
    }

    /// Ends the span and records the metric. An error marks both.
    pub(crate) fn end(mut self, error: Option<ErrorType>) {
        self.end_once(error);
    }

    fn end_once(&mut self, error: Option<ErrorType>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let elapsed = self.elapsed();
        if let Some(error) = error {
            self.mark(error);
        }
        if let Some(series) = &self.series {
            series.record(elapsed.as_secs_f64(), &self.late_attributes);
        }
        if let Some((time, _)) = self.started {
            self.span().end_with_timestamp(time + elapsed);
        }
    }

    fn mark(&mut self, error: ErrorType) {
        self.set_shared_attribute(KeyValue::new(names::ERROR_TYPE, error));
        self.span().set_status(Status::error(""));
    }
}

/// The clocks at an operation's start: one for its span, one for its duration. `None` if neither spans nor
/// metrics are exported.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Started(Option<(SystemTime, Instant)>);

impl Started {
    pub(crate) fn now() -> Self {
        Self((is_tracing() || is_metering()).then(|| (SystemTime::now(), Instant::now())))
    }
}

/// Whether the context's span is one of this process, in a sampled trace. Then samplers sample its children.
fn is_recorded_here(context: &Context) -> bool {
    let span = context.span();
    let span = span.span_context();
    span.is_sampled() && !span.is_remote()
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

//! The trace context as a text map, for a job's payload, a database row, or any other carrier except HTTP:
//! the W3C's `traceparent` and `tracestate`, unless `OTEL_PROPAGATORS` selects others. Baggage is left out:
//! its content is the caller's, and a row or a job would store it.
//!
//! ```
//! use throughline_telemetry::propagation;
//!
//! let stored = propagation::inject_current(); // goes into the row or the payload
//! let sent_in = propagation::extract(&stored); // the parent of later work
//! ```

pub(crate) mod trace_context;

use std::borrow::Cow;
use std::collections::HashMap;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::Extractor;
use opentelemetry::trace::{SpanContext, TraceContextExt, TraceState};
use opentelemetry::{Context, global};

pub(crate) use trace_context::{TraceContextPropagator, hexadecimal};

/// The trace context as a map; empty outside a trace.
pub fn inject(context: &Context) -> HashMap<String, String> {
    let mut carrier = HashMap::new();
    let context = without_baggage(context);
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut carrier));
    carrier
}

/// The context for a server of others: `traceparent` alone continues the trace. What callers write,
/// `tracestate` and baggage, is left out.
pub(crate) fn without_caller_data(context: &Context) -> Cow<'_, Context> {
    let span = context.span();
    let span = span.span_context();
    if context.baggage().is_empty() && *span.trace_state() == TraceState::NONE {
        return Cow::Borrowed(context);
    }
    let ids = (span.trace_id(), span.span_id(), span.trace_flags());
    let span = SpanContext::new(ids.0, ids.1, ids.2, true, TraceState::NONE);
    Cow::Owned(Context::new().with_remote_span_context(span))
}

/// The context; if it has baggage, a new one with only its span.
fn without_baggage(context: &Context) -> Cow<'_, Context> {
    if context.baggage().is_empty() {
        return Cow::Borrowed(context);
    }
    let span = context.span().span_context().clone();
    Cow::Owned(Context::new().with_remote_span_context(span))
}

/// The current trace context as a map.
pub fn inject_current() -> HashMap<String, String> {
    inject(&Context::current())
}

/// The context of a map. If the map has none, or a malformed one, it has no span.
pub fn extract(carrier: &HashMap<String, String>) -> Context {
    global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &MapExtractor(carrier))
    })
}

/// Unlike the API's extractor for maps, it does not copy names to lower case, which they are in already: 1
/// allocation instead of 4 ("parent of a job" in `tests/allocations.rs`).
struct MapExtractor<'a>(&'a HashMap<String, String>);

impl Extractor for MapExtractor<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

//! A trace context as a plain text map, to put into a job's payload, a database row, or any other carrier that is not HTTP: the
//! W3C's `traceparent` and `tracestate`, unless `OTEL_PROPAGATORS` says otherwise. A caller's baggage is never in it: nobody
//! knows what is in there, and a row or a job would keep it.
//!
//! ```
//! use throughline_telemetry::propagation;
//!
//! let stored = propagation::inject_current(); // with the row, or in the payload
//! let sent_in = propagation::extract(&stored); // the parent of what is done about it later
//! ```

mod trace_context;

use std::borrow::Cow;
use std::collections::HashMap;

use opentelemetry::baggage::BaggageExt;
use opentelemetry::propagation::{Extractor, Injector};
use opentelemetry::trace::TraceContextExt;
use opentelemetry::{Context, global};

pub(crate) use trace_context::TraceContextPropagator;

/// The trace context as a map; empty where there is no trace.
pub fn inject(context: &Context) -> HashMap<String, String> {
    let mut carrier = Filled(HashMap::new());
    let context = without_baggage(context);
    global::get_text_map_propagator(|propagator| propagator.inject_context(&context, &mut carrier));
    carrier.0
}

/// The trace that the context belongs to, and nothing else of it where it has baggage.
pub(crate) fn without_baggage(context: &Context) -> Cow<'_, Context> {
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

/// The context that a map holds. A map without one, or with a malformed one, gives a context without a parent.
pub fn extract(carrier: &HashMap<String, String>) -> Context {
    global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), &Read(carrier))
    })
}

/// The map as it is: names are in lower case already, and not made so once more.
struct Filled(HashMap<String, String>);

impl Injector for Filled {
    fn set(&mut self, key: &str, value: String) {
        self.0.insert(key.to_owned(), value);
    }
}

struct Read<'a>(&'a HashMap<String, String>);

impl Extractor for Read<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(String::as_str).collect()
    }
}

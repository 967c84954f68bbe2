//! A trace context as a plain text map, to put into a job's payload, a database row, or any other carrier that is not HTTP. What
//! is written follows `OTEL_PROPAGATORS`: `traceparent` and `tracestate` of the W3C by default, and `baggage`.
//!
//! ```
//! use throughline_telemetry::propagation;
//!
//! let stored = propagation::inject_current(); // with the row, or in the payload
//! let sent_in = propagation::extract(&stored); // the parent of what is done about it later
//! ```

use std::collections::HashMap;

use opentelemetry::{Context, global};

/// The context as a map; empty where there is no trace.
pub fn inject(context: &Context) -> HashMap<String, String> {
    let mut carrier = HashMap::new();
    global::get_text_map_propagator(|propagator| propagator.inject_context(context, &mut carrier));
    carrier
}

/// The current context as a map.
pub fn inject_current() -> HashMap<String, String> {
    inject(&Context::current())
}

/// The context that a map holds. A map without one, or with a malformed one, gives a context without a parent.
pub fn extract(carrier: &HashMap<String, String>) -> Context {
    global::get_text_map_propagator(|propagator| {
        propagator.extract_with_context(&Context::new(), carrier)
    })
}

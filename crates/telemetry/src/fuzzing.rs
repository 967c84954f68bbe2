//! What `fuzz/` calls.

use std::collections::HashMap;

use opentelemetry::Context;
use opentelemetry::propagation::TextMapPropagator;

use crate::propagation::trace_context::TraceContextPropagator;

/// The `traceparent` and `tracestate` that are sent on for received ones; `None` if the first is malformed.
#[must_use]
pub fn trace_context(parent: &str, state: &str) -> Option<(String, String)> {
    let received = [("traceparent", parent), ("tracestate", state)];
    let received = received.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let context = TraceContextPropagator.extract_with_context(&Context::new(), &HashMap::from(received));
    let mut sent: HashMap<String, String> = HashMap::new();
    TraceContextPropagator.inject_context(&context, &mut sent);
    let state = sent.remove("tracestate").unwrap_or_default();
    Some((sent.remove("traceparent")?, state))
}

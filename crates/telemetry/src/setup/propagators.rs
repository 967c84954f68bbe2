//! The formats in which a trace context and baggage pass between processes.

use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry_sdk::propagation::BaggagePropagator;

use crate::propagation::TraceContextPropagator;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Propagator {
    TraceContext,
    Baggage,
}

pub(super) const DEFAULT: [Propagator; 2] = [Propagator::TraceContext, Propagator::Baggage];
pub(super) const TAKES: &str = "a list of tracecontext and baggage, or none";

/// A list as in `OTEL_PROPAGATORS`.
pub(super) fn parse_list(list: &str) -> Option<Vec<Propagator>> {
    if list.eq_ignore_ascii_case("none") {
        return Some(Vec::new());
    }
    let parse = |word: &str| match word.trim().to_ascii_lowercase().as_str() {
        "tracecontext" => Some(Propagator::TraceContext),
        "baggage" => Some(Propagator::Baggage),
        _ => None,
    };
    list.split(',').map(parse).collect()
}

/// All of them, each once.
pub(super) fn composite(propagators: &[Propagator]) -> TextMapCompositePropagator {
    let used = DEFAULT.into_iter().filter(|it| propagators.contains(it));
    let create = |propagator| -> Box<dyn TextMapPropagator + Send + Sync> {
        match propagator {
            Propagator::TraceContext => Box::new(TraceContextPropagator),
            Propagator::Baggage => Box::new(BaggagePropagator::new()),
        }
    };
    TextMapCompositePropagator::new(used.map(create).collect())
}

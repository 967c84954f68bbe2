//! Which statements have a span already, so that the connection does not make a second one.

use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::Context;

/// Whether the process has a connection that makes spans. Without one, contexts are not marked.
static CONNECTIONS_TRACE: AtomicBool = AtomicBool::new(false);

/// Marks a context inside the span of a statement.
#[derive(Debug)]
struct Refined;

pub(super) fn connections_trace() {
    CONNECTIONS_TRACE.store(true, Ordering::Relaxed);
}

/// The context for a statement that has a span, or is measured.
pub(super) fn refined(context: &Context) -> Context {
    if CONNECTIONS_TRACE.load(Ordering::Relaxed) {
        context.with_value(Refined)
    } else {
        context.clone()
    }
}

pub(super) fn is_refined(context: &Context) -> bool {
    context.get::<Refined>().is_some()
}

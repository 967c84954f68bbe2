//! The tracer and the meter of all integrations, in one scope, and whether their signals are exported.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicBool, Ordering};

use opentelemetry::InstrumentationScope;
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::metrics::Meter;
use opentelemetry_semantic_conventions::SCHEMA_URL;

/// Whether a provider for the signal is installed. Without one, the integrations do no work for it.
static TRACING: AtomicBool = AtomicBool::new(true);
static METERING: AtomicBool = AtomicBool::new(true);

pub(crate) fn enable(tracing: bool, metering: bool) {
    TRACING.store(tracing, Ordering::Relaxed);
    METERING.store(metering, Ordering::Relaxed);
}

pub(crate) fn is_tracing() -> bool {
    TRACING.load(Ordering::Relaxed)
}

pub(crate) fn is_metering() -> bool {
    METERING.load(Ordering::Relaxed)
}

/// The scope of every span and metric that this crate creates.
pub(crate) fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(SCHEMA_URL)
        .build()
}

pub(crate) fn tracer() -> &'static BoxedTracer {
    static TRACER: LazyLock<BoxedTracer> = LazyLock::new(|| global::tracer_with_scope(scope()));
    &TRACER
}

pub(crate) fn meter() -> &'static Meter {
    static METER: LazyLock<Meter> = LazyLock::new(|| global::meter_with_scope(scope()));
    &METER
}

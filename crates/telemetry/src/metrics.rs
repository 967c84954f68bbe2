//! A service's own metrics, under the same scope as those of the integrations. Make each instrument once, after
//! [`init`](crate::init): a `LazyLock` does both.
//!
//! Units are UCUM (`s`, `By`, `{order}`), a name never contains its unit, and an attribute has few values: each set of values is
//! a time series that is kept and exported as long as the process lives.
//!
//! ```
//! use std::sync::LazyLock;
//! use opentelemetry::KeyValue;
//! use opentelemetry::metrics::Counter;
//! use throughline_telemetry::metrics;
//!
//! static PARCELS: LazyLock<Counter<u64>> =
//!     LazyLock::new(|| metrics::counter("parcels.delivered", "{parcel}", "Parcels handed over."));
//!
//! PARCELS.add(1, &[KeyValue::new("parcel.size", "small")]);
//! ```

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Gauge, Histogram, UpDownCounter};

use crate::setup::meter;

/// Something that only grows.
pub fn counter(name: &'static str, unit: &'static str, description: &'static str) -> Counter<u64> {
    meter()
        .u64_counter(name)
        .with_unit(unit)
        .with_description(description)
        .build()
}

/// Something that grows and shrinks, by what happens to it.
pub fn up_down_counter(
    name: &'static str,
    unit: &'static str,
    description: &'static str,
) -> UpDownCounter<i64> {
    meter()
        .i64_up_down_counter(name)
        .with_unit(unit)
        .with_description(description)
        .build()
}

/// How values are distributed over buckets, given by their upper bounds.
pub fn histogram(
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    bounds: &[f64],
) -> Histogram<f64> {
    meter()
        .f64_histogram(name)
        .with_unit(unit)
        .with_description(description)
        .with_boundaries(bounds.to_vec())
        .build()
}

/// The present value of something, set when it is known; for what must be asked for over a network.
pub fn gauge(name: &'static str, unit: &'static str, description: &'static str) -> Gauge<f64> {
    meter()
        .f64_gauge(name)
        .with_unit(unit)
        .with_description(description)
        .build()
}

/// The present value of something, read at every export; for what is at hand. `read` must not block.
pub fn observe(
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    attributes: Vec<KeyValue>,
    read: impl Fn() -> f64 + Send + Sync + 'static,
) {
    meter()
        .f64_observable_gauge(name)
        .with_unit(unit)
        .with_description(description)
        .with_callback(move |gauge| gauge.observe(read(), &attributes))
        .build();
}

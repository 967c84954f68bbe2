//! A service's own metrics, under the scope of the integrations. Create each instrument once, after
//! [`init`](crate::init); a `LazyLock` does both.
//!
//! Units are UCUM (`s`, `By`, `{order}`), a name never contains its unit, and an attribute has few values:
//! each set of values is a time series that is stored and exported for the lifetime of the process.
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

use crate::scope::meter;

/// A count that only increases.
pub fn counter(name: &'static str, unit: &'static str, description: &'static str) -> Counter<u64> {
    meter()
        .u64_counter(name)
        .with_unit(unit)
        .with_description(description)
        .build()
}

/// A count that increases and decreases.
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

/// A distribution of values over buckets with these upper bounds.
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

/// The current value of something, set by the service; for values that must be requested over a network.
pub fn gauge(name: &'static str, unit: &'static str, description: &'static str) -> Gauge<f64> {
    meter()
        .f64_gauge(name)
        .with_unit(unit)
        .with_description(description)
        .build()
}

/// The current value of something, read at every export. Nothing is exported while `read` gives `None`: a
/// value that this process does not know at the moment. `read` must not block.
pub fn observe<V: Into<Option<f64>>>(
    name: &'static str,
    unit: &'static str,
    description: &'static str,
    attributes: Vec<KeyValue>,
    read: impl Fn() -> V + Send + Sync + 'static,
) {
    meter()
        .f64_observable_gauge(name)
        .with_unit(unit)
        .with_description(description)
        .with_callback(move |gauge| {
            if let Some(value) = read().into() {
                gauge.observe(value, &attributes);
            }
        })
        .build();
}

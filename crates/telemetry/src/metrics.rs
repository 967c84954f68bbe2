//! The instruments of the integrations, with the buckets that the conventions ask for. Made once, at first use, which must be
//! after [`crate::init`].

use std::sync::LazyLock;

use opentelemetry::metrics::{Counter, Histogram};

use crate::setup::meter;

/// Seconds; the buckets of HTTP and messaging durations.
const DURATION: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// Seconds; the buckets of database durations.
const DB_DURATION: &[f64] = &[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0];

pub(crate) struct Instruments {
    pub(crate) http_server_duration: Histogram<f64>,
    pub(crate) http_client_duration: Histogram<f64>,
    pub(crate) db_duration: Histogram<f64>,
    pub(crate) send_duration: Histogram<f64>,
    pub(crate) process_duration: Histogram<f64>,
    pub(crate) sent_messages: Counter<u64>,
    pub(crate) consumed_messages: Counter<u64>,
}

/// The instruments of this process.
pub(crate) fn instruments() -> &'static Instruments {
    static INSTRUMENTS: LazyLock<Instruments> = LazyLock::new(|| Instruments {
        http_server_duration: seconds(
            "http.server.request.duration",
            "Duration of HTTP server requests.",
            DURATION,
        ),
        http_client_duration: seconds(
            "http.client.request.duration",
            "Duration of HTTP client requests.",
            DURATION,
        ),
        db_duration: seconds(
            "db.client.operation.duration",
            "Duration of database client operations.",
            DB_DURATION,
        ),
        send_duration: seconds(
            "messaging.client.operation.duration",
            "Duration of messaging operations initiated by a producer or consumer client.",
            DURATION,
        ),
        process_duration: seconds(
            "messaging.process.duration",
            "Duration of processing operation.",
            DURATION,
        ),
        sent_messages: messages(
            "messaging.client.sent.messages",
            "Number of messages producer attempted to send to the broker.",
        ),
        consumed_messages: messages(
            "messaging.client.consumed.messages",
            "Number of messages that were delivered to the application.",
        ),
    });
    &INSTRUMENTS
}

fn seconds(name: &'static str, description: &'static str, buckets: &[f64]) -> Histogram<f64> {
    meter()
        .f64_histogram(name)
        .with_unit("s")
        .with_description(description)
        .with_boundaries(buckets.to_vec())
        .build()
}

fn messages(name: &'static str, description: &'static str) -> Counter<u64> {
    meter()
        .u64_counter(name)
        .with_unit("{message}")
        .with_description(description)
        .build()
}

//! One line about a trace, as listed by `GET /api/traces` and the page.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use crate::ids::TraceId;
use crate::trace::Trace;

/// One line about a trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TraceSummary {
    /// The trace.
    pub trace_id: TraceId,
    /// The name of its root span; of its first span, if the root was not received.
    pub root_name: String,
    /// The services that took part, in order of appearance.
    pub services: Vec<String>,
    /// When its first span started.
    pub start: DateTime<Utc>,
    /// From the start of its first span to the end of its last.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// How many spans were received.
    pub spans: usize,
    /// How many of them failed.
    pub errors: usize,
    /// The first `order.id` that a span carries.
    pub order_id: Option<String>,
}

impl TraceSummary {
    pub(crate) fn of(trace: &Trace) -> Self {
        let tree = trace.tree();
        Self {
            trace_id: trace.trace_id,
            root_name: tree.root().map(|span| span.name.clone()).unwrap_or_default(),
            services: tree.services().into_iter().map(str::to_owned).collect(),
            start: instant(trace.start_unix_nano()),
            duration: trace.duration(),
            spans: trace.spans.len(),
            errors: trace.errors(),
            order_id: trace.order_id().map(str::to_owned),
        }
    }
}

/// The moment of a Unix time in nanoseconds; the epoch if it is beyond what a calendar holds.
pub(crate) fn instant(unix_nano: u64) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(i64::try_from(unix_nano).unwrap_or_default())
}

/// Rounded to a microsecond.
fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1e6).round() / 1e3)
}

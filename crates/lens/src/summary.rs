//! A trace in one line, as listed by `GET /api/traces` and the page.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use crate::format::utc;
use crate::ids::TraceId;
use crate::trace::Trace;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TraceSummary {
    pub trace_id: TraceId,
    /// The name of the root span, or of the first span if the root was not received.
    pub root_name: String,
    /// In order of appearance.
    pub services: Vec<String>,
    /// The start of the first span.
    pub start: DateTime<Utc>,
    /// From the start of the first span to the end of the last.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// The number of spans received.
    pub spans: usize,
    /// The number of failed spans.
    pub errors: usize,
    /// The first `order.id` among the spans.
    pub order_id: Option<String>,
}

impl TraceSummary {
    pub(crate) fn of(trace: &Trace) -> Self {
        let tree = trace.tree();
        Self {
            trace_id: trace.trace_id,
            root_name: tree.root().map(|span| span.name.clone()).unwrap_or_default(),
            services: tree.services().into_iter().map(str::to_owned).collect(),
            start: utc(trace.start_unix_nano()),
            duration: trace.duration(),
            spans: trace.spans.len(),
            errors: trace.errors(),
            order_id: trace.order_id().map(str::to_owned),
        }
    }
}

/// Rounded to a microsecond.
fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1e6).round() / 1e3)
}

//! Spans and metrics for the unit tests.

use std::ops::Range;
use std::sync::Arc;

use crate::attributes::{Attributes, Value};
use crate::ids::{SpanId, TraceId};
use crate::metric::{Metric, MetricKind, Temporality};
use crate::trace::{Dropped, Span, SpanKind, Status};

/// A span of the trace `…01`. Ids count from 1; parent 0 means none; times are nanoseconds.
pub(crate) fn span(id: u64, parent: u64, name: &str, times: Range<u64>) -> Span {
    Span {
        trace_id: trace_id(1),
        span_id: SpanId::from_bytes(&id.to_be_bytes()).unwrap(),
        parent_span_id: SpanId::from_bytes(&parent.to_be_bytes()),
        trace_state: String::new(),
        flags: 1,
        name: name.to_owned(),
        kind: SpanKind::Internal,
        service: "shop".into(),
        resource: Arc::default(),
        scope: Arc::default(),
        attributes: Attributes::default(),
        status: Status::Unset,
        status_message: String::new(),
        start_unix_nano: times.start,
        end_unix_nano: times.end,
        links: Vec::new(),
        events: Vec::new(),
        dropped: Dropped::default(),
    }
}

pub(crate) fn trace_id(id: u128) -> TraceId {
    TraceId::from_bytes(&id.to_be_bytes()).unwrap()
}

pub(crate) fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    let pairs = pairs.iter();
    pairs
        .map(|(key, value)| ((*key).to_owned(), Value::String((*value).into())))
        .collect()
}

/// A metric without a unit and without points. A sum is monotonic.
pub(crate) fn metric(name: &str, kind: MetricKind) -> Metric {
    Metric {
        name: name.to_owned(),
        description: String::new(),
        unit: String::new(),
        kind,
        monotonic: kind == MetricKind::Sum,
        temporality: Temporality::Cumulative,
        points: Vec::new(),
        service: "shop".into(),
        resource: Arc::default(),
        scope: Arc::default(),
    }
}

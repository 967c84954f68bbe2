//! A trace and its spans, as received. Times are nanoseconds since the Unix epoch, by the sender's clock.
//!
//! The fields are those of OTLP's `Span`, with checked ids and the process and library that a span came from.

use std::sync::Arc;
use std::time::Duration;

pub use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
pub use opentelemetry_proto::tonic::trace::v1::status::StatusCode as Status;

use crate::attributes::Attributes;
use crate::ids::{SpanId, TraceId};
use crate::service_name::ServiceName;

/// The attribute by which an order's traces are found.
pub(crate) const ORDER_ID: &str = "order.id";

/// All spans of one trace received so far, in order of arrival; at least one.
///
/// [`Trace::tree`] orders them for reading.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    pub trace_id: TraceId,
    pub spans: Vec<Span>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    /// `None` for a root.
    pub parent_span_id: Option<SpanId>,
    /// W3C `tracestate`.
    pub trace_state: String,
    /// W3C trace flags in the low 8 bits, OTLP's own flags above.
    pub flags: u32,
    pub name: String,
    pub kind: SpanKind,
    /// `service.name` of the resource; `unknown_service` if that is absent.
    pub service: ServiceName,
    /// The attributes of the sending process, shared by the spans of one export.
    pub resource: Arc<Attributes>,
    /// The instrumentation library, shared by the spans of one export.
    pub scope: Arc<Scope>,
    pub attributes: Attributes,
    pub status: Status,
    /// Often empty, also for a failed span.
    pub status_message: String,
    pub start_unix_nano: u64,
    pub end_unix_nano: u64,
    pub links: Vec<Link>,
    pub events: Vec<Event>,
    pub dropped: Dropped,
}

/// The instrumentation scope: the library that made a span, a log record or a metric.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scope {
    pub name: String,
    /// May be empty.
    pub version: String,
}

/// A link to another span, of the same trace or of another one.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    pub trace_id: TraceId,
    pub span_id: SpanId,
    pub trace_state: String,
    pub flags: u32,
    pub attributes: Attributes,
}

/// The span that a link of another trace comes from.
#[derive(Debug, Clone)]
pub(crate) struct LinkFrom {
    pub(crate) trace_id: TraceId,
    pub(crate) span_id: SpanId,
    pub(crate) name: String,
    pub(crate) service: ServiceName,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    pub time_unix_nano: u64,
    pub name: String,
    pub attributes: Attributes,
}

/// How many items the sender left out because of its own limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    pub attributes: u32,
    pub events: u32,
    pub links: u32,
}

impl Trace {
    /// The start of the first span.
    #[must_use]
    pub fn start_unix_nano(&self) -> u64 {
        let starts = self.spans.iter().map(|span| span.start_unix_nano);
        starts.min().unwrap_or_default()
    }

    /// From the start of the first span to the end of the last.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let ends = self.spans.iter().map(|span| span.end_unix_nano);
        let end = ends.max().unwrap_or_default();
        Duration::from_nanos(end.saturating_sub(self.start_unix_nano()))
    }

    /// The first `order.id` among the spans.
    #[must_use]
    pub fn order_id(&self) -> Option<&str> {
        self.spans.iter().find_map(Span::order_id)
    }

    /// The number of failed spans.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.spans.iter().filter(|span| span.failed()).count()
    }
}

impl Span {
    /// Zero if the span ends before it starts, after a change of the clock.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.end_unix_nano.saturating_sub(self.start_unix_nano))
    }

    /// The attribute `order.id`.
    #[must_use]
    pub fn order_id(&self) -> Option<&str> {
        self.attributes.get_str(ORDER_ID)
    }

    /// Whether the status is an error.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.status == Status::Error
    }

    /// An estimate of the memory used, without the shared service, resource and scope.
    pub(crate) fn bytes(&self) -> usize {
        let link = |link: &Link| size_of::<Link>() + link.trace_state.len() + link.attributes.heap_bytes();
        let event = |event: &Event| size_of::<Event>() + event.name.len() + event.attributes.heap_bytes();
        size_of::<Self>()
            + self.name.len()
            + self.trace_state.len()
            + self.status_message.len()
            + self.attributes.heap_bytes()
            + self.links.iter().map(link).sum::<usize>()
            + self.events.iter().map(event).sum::<usize>()
    }
}

impl LinkFrom {
    pub(crate) fn of(span: &Span) -> Self {
        Self {
            trace_id: span.trace_id,
            span_id: span.span_id,
            name: span.name.clone(),
            service: span.service.clone(),
        }
    }
}

impl Scope {
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.version.len()
    }
}

/// `SERVER`, `CLIENT` and so on; `-` if the sender set no kind.
#[must_use]
pub fn kind_name(kind: SpanKind) -> &'static str {
    match kind {
        SpanKind::Unspecified => "-",
        kind => kind.as_str_name().trim_start_matches("SPAN_KIND_"),
    }
}

//! A trace and its spans, as received. Times are nanoseconds since the Unix epoch, from the sender's clock.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::attributes::Attributes;
use crate::ids::{SpanId, TraceId};
use crate::tree::Tree;

/// The attribute by which an order's traces are found.
pub(crate) const ORDER_ID: &str = "order.id";

/// All spans received so far of one trace, in order of arrival; at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// The id that all spans share.
    pub trace_id: TraceId,
    /// In order of arrival; [`Trace::tree`] gives them as a person reads them.
    pub spans: Vec<Span>,
}

/// One span.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// The trace that it belongs to.
    pub trace_id: TraceId,
    /// Its own id.
    pub span_id: SpanId,
    /// The span that it is a child of; `None` for a root.
    pub parent_span_id: Option<SpanId>,
    /// W3C `tracestate`.
    pub trace_state: String,
    /// W3C trace flags and OTLP's own bits above them.
    pub flags: u32,
    /// What it is called.
    pub name: String,
    /// Its role in a call.
    pub kind: SpanKind,
    /// `service.name` of its resource; `unknown_service` if that is absent.
    pub service: String,
    /// The attributes of the process that made it, shared by the spans of one export.
    pub resource: Arc<Attributes>,
    /// The library that made it.
    pub scope: Arc<Scope>,
    /// Its own attributes.
    pub attributes: Attributes,
    /// Whether it failed.
    pub status: Status,
    /// What a failed span says; often empty.
    pub status_message: String,
    /// When it started.
    pub start_unix_nano: u64,
    /// When it ended.
    pub end_unix_nano: u64,
    /// Spans that it is related to, not by parentage.
    pub links: Vec<Link>,
    /// What happened during it.
    pub events: Vec<Event>,
    /// What its sender left out.
    pub dropped: Dropped,
}

/// The instrumentation scope.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scope {
    /// The library's name.
    pub name: String,
    /// The library's version; may be empty.
    pub version: String,
}

/// A link from a span to another one, perhaps of another trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    /// The linked span's trace.
    pub trace_id: TraceId,
    /// The linked span.
    pub span_id: SpanId,
    /// W3C `tracestate` of the linked span.
    pub trace_state: String,
    /// W3C trace flags of the linked span.
    pub flags: u32,
    /// What the link says.
    pub attributes: Attributes,
}

/// An event within a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When it happened.
    pub time_unix_nano: u64,
    /// What it is called.
    pub name: String,
    /// What it says.
    pub attributes: Attributes,
}

/// How much a sender left out because of its limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Attributes left out.
    pub attributes: u32,
    /// Events left out.
    pub events: u32,
    /// Links left out.
    pub links: u32,
}

/// A span's role in a call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SpanKind {
    /// The sender did not say.
    #[default]
    Unspecified,
    /// Work within one process.
    Internal,
    /// Answers a request.
    Server,
    /// Makes a request.
    Client,
    /// Sends a message.
    Producer,
    /// Handles a message.
    Consumer,
}

/// Whether a span failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Status {
    /// Nothing was said: it did not fail.
    #[default]
    Unset,
    /// A person declared it good.
    Ok,
    /// It failed.
    Error,
}

// === impl Trace ===

impl Trace {
    /// The spans as a tree, in the order in which a person reads them.
    #[must_use]
    pub fn tree(&self) -> Tree<'_> {
        Tree::of(&self.spans)
    }

    /// When its first span started.
    #[must_use]
    pub fn start_unix_nano(&self) -> u64 {
        self.spans
            .iter()
            .map(|span| span.start_unix_nano)
            .min()
            .unwrap_or_default()
    }

    /// From the start of its first span to the end of its last.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let end = self
            .spans
            .iter()
            .map(|span| span.end_unix_nano)
            .max()
            .unwrap_or_default();
        Duration::from_nanos(end.saturating_sub(self.start_unix_nano()))
    }

    /// The first `order.id` that a span carries.
    #[must_use]
    pub fn order_id(&self) -> Option<&str> {
        self.spans.iter().find_map(Span::order_id)
    }

    /// How many spans failed.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.spans.iter().filter(|span| span.failed()).count()
    }
}

// === impl Span ===

impl Span {
    /// From its start to its end; zero if its clock went backwards.
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.end_unix_nano.saturating_sub(self.start_unix_nano))
    }

    /// Its `order.id`, if it carries one.
    #[must_use]
    pub fn order_id(&self) -> Option<&str> {
        self.attributes.get_str(ORDER_ID)
    }

    /// Whether its status is an error.
    #[must_use]
    pub fn failed(&self) -> bool {
        self.status == Status::Error
    }

    /// About how many bytes it takes, without what it shares with other spans.
    pub(crate) fn bytes(&self) -> usize {
        let link = |link: &Link| size_of::<Link>() + link.trace_state.len() + link.attributes.heap_bytes();
        let event = |event: &Event| size_of::<Event>() + event.name.len() + event.attributes.heap_bytes();
        size_of::<Self>()
            + self.name.len()
            + self.service.len()
            + self.trace_state.len()
            + self.status_message.len()
            + self.attributes.heap_bytes()
            + self.links.iter().map(link).sum::<usize>()
            + self.events.iter().map(event).sum::<usize>()
    }
}

// === impl Scope ===

impl Scope {
    pub(crate) fn heap_bytes(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.version.len()
    }
}

// === impl SpanKind ===

impl SpanKind {
    /// As the specification writes it: `SERVER`, `CLIENT` and so on.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unspecified => "-",
            Self::Internal => "INTERNAL",
            Self::Server => "SERVER",
            Self::Client => "CLIENT",
            Self::Producer => "PRODUCER",
            Self::Consumer => "CONSUMER",
        }
    }
}

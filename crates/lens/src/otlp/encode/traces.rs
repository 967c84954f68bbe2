//! Spans, for `GET /api/traces/{trace_id}` and saved telemetry.

use opentelemetry_proto::tonic::trace::v1::{self as proto, ResourceSpans, ScopeSpans, TracesData};

use super::common::{grouped, pairs};
use crate::trace::{Event, Link, Span};

/// The spans as OTLP, by process and library.
pub(crate) fn traces_data(spans: &[Span]) -> TracesData {
    let of_library = |scope, spans: Vec<&Span>| ScopeSpans {
        scope,
        spans: spans.into_iter().map(encode).collect(),
        ..Default::default()
    };
    let of_process = |(resource, scope_spans)| ResourceSpans {
        resource,
        scope_spans,
        ..Default::default()
    };
    let processes = grouped(spans, |span| (&span.resource, &span.scope), of_library);
    TracesData {
        resource_spans: processes.map(of_process).collect(),
    }
}

fn encode(span: &Span) -> proto::Span {
    let parent = span.parent_span_id.map(|id| id.as_bytes().to_vec());
    proto::Span {
        trace_id: span.trace_id.as_bytes().to_vec(),
        span_id: span.span_id.as_bytes().to_vec(),
        trace_state: span.trace_state.clone(),
        parent_span_id: parent.unwrap_or_default(),
        flags: span.flags,
        name: span.name.clone(),
        kind: span.kind.into(),
        start_time_unix_nano: span.start_unix_nano,
        end_time_unix_nano: span.end_unix_nano,
        attributes: pairs(&span.attributes),
        dropped_attributes_count: span.dropped.attributes,
        events: span.events.iter().map(event).collect(),
        dropped_events_count: span.dropped.events,
        links: span.links.iter().map(link).collect(),
        dropped_links_count: span.dropped.links,
        status: Some(proto::Status {
            message: span.status_message.clone(),
            code: span.status.into(),
        }),
    }
}

fn link(link: &Link) -> proto::span::Link {
    proto::span::Link {
        trace_id: link.trace_id.as_bytes().to_vec(),
        span_id: link.span_id.as_bytes().to_vec(),
        trace_state: link.trace_state.clone(),
        attributes: pairs(&link.attributes),
        flags: link.flags,
        ..Default::default()
    }
}

fn event(event: &Event) -> proto::span::Event {
    proto::span::Event {
        time_unix_nano: event.time_unix_nano,
        name: event.name.clone(),
        attributes: pairs(&event.attributes),
        ..Default::default()
    }
}

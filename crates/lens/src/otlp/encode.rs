//! A trace back into OTLP, for `GET /api/traces/{trace_id}`.

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{self as proto, ResourceSpans, ScopeSpans, TracesData};

use crate::attributes::{Attributes, Value};
use crate::trace::{Event, Link, Scope, Span, Trace};

/// The trace as OTLP, its spans grouped by process and library.
pub(crate) fn traces_data(trace: &Trace) -> TracesData {
    let resources = distinct(trace.spans.iter().map(|span| &*span.resource));
    let resource_spans = resources.into_iter().map(|resource| ResourceSpans {
        resource: Some(Resource {
            attributes: pairs(resource),
            ..Default::default()
        }),
        scope_spans: scope_spans(&trace.spans.iter().filter(|span| *span.resource == *resource)),
        ..Default::default()
    });
    TracesData {
        resource_spans: resource_spans.collect(),
    }
}

fn scope_spans<'a>(spans: &(impl Iterator<Item = &'a Span> + Clone)) -> Vec<ScopeSpans> {
    let scopes = distinct(spans.clone().map(|span| &*span.scope));
    let scope_spans = scopes.into_iter().map(|scope| ScopeSpans {
        scope: Some(instrumentation_scope(scope)),
        spans: spans
            .clone()
            .filter(|span| *span.scope == *scope)
            .map(encode)
            .collect(),
        ..Default::default()
    });
    scope_spans.collect()
}

/// Each value once, in order of appearance. Linear, because a trace has few processes and libraries.
fn distinct<'a, T: PartialEq>(values: impl Iterator<Item = &'a T>) -> Vec<&'a T> {
    let mut seen: Vec<&T> = Vec::new();
    for value in values {
        if !seen.contains(&value) {
            seen.push(value);
        }
    }
    seen
}

fn instrumentation_scope(scope: &Scope) -> InstrumentationScope {
    InstrumentationScope {
        name: scope.name.clone(),
        version: scope.version.clone(),
        ..Default::default()
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

fn pairs(attributes: &Attributes) -> Vec<KeyValue> {
    let pair = |(key, v): (&str, &Value)| KeyValue {
        key: key.to_owned(),
        value: Some(value(v)),
        ..Default::default()
    };
    attributes.iter().map(pair).collect()
}

fn value(value: &Value) -> AnyValue {
    let value = match value {
        Value::Empty => None,
        Value::String(text) => Some(any_value::Value::StringValue(text.clone())),
        Value::Bool(truth) => Some(any_value::Value::BoolValue(*truth)),
        Value::Int(number) => Some(any_value::Value::IntValue(*number)),
        Value::Double(number) => Some(any_value::Value::DoubleValue(*number)),
        Value::Bytes(bytes) => Some(any_value::Value::BytesValue(bytes.clone())),
        Value::Array(values) => Some(any_value::Value::ArrayValue(ArrayValue {
            values: values.iter().map(self::value).collect(),
        })),
        Value::Map(attributes) => Some(any_value::Value::KvlistValue(KeyValueList {
            values: pairs(attributes),
        })),
    };
    AnyValue { value }
}

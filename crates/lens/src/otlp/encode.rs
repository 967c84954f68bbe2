//! A trace back into OTLP, for `GET /api/traces/{trace_id}`.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList, any_value,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{self as proto, ResourceSpans, ScopeSpans, TracesData};

use crate::attributes::{Attributes, Value};
use crate::trace::{Event, Link, Scope, Span, Trace};

/// The trace as OTLP, its spans grouped by process and library.
pub(crate) fn traces_data(trace: &Trace) -> TracesData {
    let (mut resources, mut scopes) = (Numbers::default(), Numbers::default());
    let mut groups: BTreeMap<(usize, usize), Vec<&Span>> = BTreeMap::new();
    for span in &trace.spans {
        let origin = (resources.of(&span.resource), scopes.of(&span.scope));
        groups.entry(origin).or_default().push(span);
    }
    let mut resource_spans = BTreeMap::new();
    for ((resource, _), spans) in groups {
        let Some(first) = spans.first() else { continue };
        let group = resource_spans.entry(resource).or_insert_with(|| ResourceSpans {
            resource: Some(Resource {
                attributes: pairs(&first.resource),
                ..Default::default()
            }),
            ..Default::default()
        });
        group.scope_spans.push(ScopeSpans {
            scope: Some(instrumentation_scope(&first.scope)),
            spans: spans.into_iter().map(encode).collect(),
            ..Default::default()
        });
    }
    TracesData {
        resource_spans: resource_spans.into_values().collect(),
    }
}

/// Numbers equal values alike, in order of appearance. Most of those that are equal are also the same.
struct Numbers<T> {
    by_address: HashMap<*const T, usize>,
    by_content: HashMap<String, usize>,
}

impl<T> Default for Numbers<T> {
    fn default() -> Self {
        Self {
            by_address: HashMap::new(),
            by_content: HashMap::new(),
        }
    }
}

impl<T: fmt::Debug> Numbers<T> {
    fn of(&mut self, value: &Arc<T>) -> usize {
        *self.by_address.entry(Arc::as_ptr(value)).or_insert_with(|| {
            let next = self.by_content.len();
            *self.by_content.entry(format!("{value:?}")).or_insert(next)
        })
    }
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

//! Spans:
//! <https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto>

use opentelemetry::trace::{SpanContext, SpanId, SpanKind, Status};
use opentelemetry_sdk::trace::SpanData;

use super::batch::Record;
use super::message::{Message, nanoseconds};

/// `SpanFlags`: `IS_REMOTE` is valid.
const HAS_IS_REMOTE: u32 = 0x100;
/// `SpanFlags`: the parent, or the linked span, is in another process.
const IS_REMOTE: u32 = 0x200;

/// Encodes a span as a field of `ScopeSpans`, and passes it to `use_it`.
pub(in crate::export) fn encode_span<R>(span: &SpanData, use_it: impl FnOnce(Record<'_>) -> R) -> R {
    let scope = &span.instrumentation_scope;
    Record::encode(scope.name(), scope, |message| message.span(span), use_it)
}

impl Message {
    fn span(&mut self, span: &SpanData) {
        self.context(&span.span_context);
        if span.parent_span_id != SpanId::INVALID {
            self.bytes(4, &span.parent_span_id.to_bytes());
        }
        self.text(5, &span.name);
        self.number(6, kind(&span.span_kind));
        self.fixed64(7, nanoseconds(span.start_time));
        self.fixed64(8, nanoseconds(span.end_time));
        self.attributes(9, &span.attributes);
        self.number(10, span.dropped_attributes_count.into());
        for event in span.events.iter() {
            self.nested(11, |message| {
                message.fixed64(1, nanoseconds(event.timestamp));
                message.text(2, &event.name);
                message.attributes(3, &event.attributes);
                message.number(4, event.dropped_attributes_count.into());
            });
        }
        self.number(12, span.events.dropped_count.into());
        for link in span.links.iter() {
            self.nested(13, |message| {
                message.context(&link.span_context);
                message.attributes(4, &link.attributes);
                message.number(5, link.dropped_attributes_count.into());
                message.flags(6, &link.span_context, link.span_context.is_remote());
            });
        }
        self.number(14, span.links.dropped_count.into());
        self.nested(15, |message| message.status(&span.status));
        self.flags(16, &span.span_context, span.parent_span_is_remote);
    }

    /// The fields that spans and links have in common.
    fn context(&mut self, context: &SpanContext) {
        self.bytes(1, &context.trace_id().to_bytes());
        self.bytes(2, &context.span_id().to_bytes());
        self.text(3, &context.trace_state().header());
    }

    fn flags(&mut self, field: u8, context: &SpanContext, is_remote: bool) {
        let remote = if is_remote { IS_REMOTE } else { 0 };
        let flags = u32::from(context.trace_flags().to_u8());
        self.fixed32(field, flags | HAS_IS_REMOTE | remote);
    }

    fn status(&mut self, status: &Status) {
        match status {
            Status::Unset => {}
            Status::Ok => self.number(3, 1),
            Status::Error { description } => {
                self.text(2, description);
                self.number(3, 2);
            }
        }
    }
}

fn kind(kind: &SpanKind) -> u64 {
    match kind {
        SpanKind::Internal => 1,
        SpanKind::Server => 2,
        SpanKind::Client => 3,
        SpanKind::Producer => 4,
        SpanKind::Consumer => 5,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime, UNIX_EPOCH};

    use opentelemetry::trace::{Event, Link, TraceFlags, TraceId, TraceState};
    use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
    use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
    use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
    use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::trace::{SpanEvents, SpanLinks};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::super::Batch;
    use super::*;

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            ".{0,200}".prop_map(Value::from),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9..1e9_f64).prop_map(Value::from),
            vec(any::<bool>(), 0..4).prop_map(|values| Value::Array(values.into())),
            vec(any::<i64>(), 0..4).prop_map(|values| Value::Array(values.into())),
            vec(-1.0..1.0_f64, 0..4).prop_map(|values| Value::Array(values.into())),
            vec(".{0,9}", 0..4).prop_map(|values| {
                let values: Vec<_> = values.into_iter().map(Into::into).collect();
                Value::Array(Array::String(values))
            }),
        ]
    }

    fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
        let attribute = ("[a-z.]{1,30}", value());
        vec(
            attribute.prop_map(|(key, value)| KeyValue::new(key, value)),
            0..20,
        )
    }

    fn context() -> impl Strategy<Value = SpanContext> {
        let state = prop_oneof![Just(""), Just("a=1"), Just("a=1,b=2")];
        (any::<(u128, u64, bool, bool)>(), state).prop_map(|((trace, span, sampled, remote), state)| {
            SpanContext::new(
                TraceId::from(trace),
                SpanId::from(span),
                TraceFlags::default().with_sampled(sampled),
                remote,
                state.parse::<TraceState>().unwrap(),
            )
        })
    }

    fn time() -> impl Strategy<Value = SystemTime> {
        (0..4_000_000_000_000_000_000_u64).prop_map(|since| UNIX_EPOCH + Duration::from_nanos(since))
    }

    fn event() -> impl Strategy<Value = Event> {
        (".{0,20}", time(), attributes(), any::<u32>())
            .prop_map(|(name, time, attributes, dropped)| Event::new(name, time, attributes, dropped))
    }

    fn link() -> impl Strategy<Value = Link> {
        (context(), attributes(), any::<u32>())
            .prop_map(|(context, attributes, dropped)| Link::new(context, attributes, dropped))
    }

    fn scope() -> impl Strategy<Value = InstrumentationScope> {
        prop_oneof![
            Just(InstrumentationScope::builder("plain").build()),
            Just(
                InstrumentationScope::builder("full")
                    .with_version("1.2")
                    .with_schema_url("https://example.com/schema")
                    .with_attributes([KeyValue::new("a", 1)])
                    .build()
            ),
        ]
    }

    fn span() -> impl Strategy<Value = SpanData> {
        let kinds = [
            SpanKind::Internal,
            SpanKind::Server,
            SpanKind::Client,
            SpanKind::Producer,
            SpanKind::Consumer,
        ];
        let statuses = [Status::Unset, Status::Ok, Status::error("it failed")];
        let content = (
            ".{0,40}",
            prop::sample::select(kinds.to_vec()),
            prop::sample::select(statuses.to_vec()),
            scope(),
            any::<(u64, bool)>(),
        );
        let many = (attributes(), vec(event(), 0..3), vec(link(), 0..3));
        (context(), content, time(), time(), many, any::<[u32; 3]>()).prop_map(
            |(span_context, content, start_time, end_time, many, dropped)| {
                let (name, span_kind, status, instrumentation_scope, parent) = content;
                let (attributes, event_list, link_list) = many;
                let mut events = SpanEvents::default();
                (events.events, events.dropped_count) = (event_list, dropped[0]);
                let mut links = SpanLinks::default();
                (links.links, links.dropped_count) = (link_list, dropped[1]);
                SpanData {
                    span_context,
                    parent_span_id: SpanId::from(parent.0),
                    parent_span_is_remote: parent.1,
                    span_kind,
                    name: name.into(),
                    start_time,
                    end_time,
                    attributes,
                    dropped_attributes_count: dropped[2],
                    events,
                    links,
                    status,
                    instrumentation_scope,
                }
            },
        )
    }

    proptest! {
        #[test]
        fn spans_are_encoded_as_opentelemetry_proto_encodes_them(spans in vec(span(), 1..6)) {
            let resource = Resource::builder_empty()
                .with_schema_url([KeyValue::new("service.name", "shop")], "https://example.com/resource")
                .build();
            let mut batch = Batch::default();
            spans.iter().for_each(|span| encode_span(span, |record| batch.push(&record)));
            let written = batch.into_request(&resource);
            let resource = ResourceAttributesWithSchema::from(&resource);
            let resource_spans = group_spans_by_resource_and_scope(spans, &resource);
            let expected = ExportTraceServiceRequest { resource_spans };
            prop_assert_eq!(ExportTraceServiceRequest::decode(written.as_slice()), Ok(expected));
        }
    }
}

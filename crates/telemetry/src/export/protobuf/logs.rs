//! Log records:
//! <https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/logs/v1/logs.proto>

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::{AnyValue, Severity};
use opentelemetry_sdk::logs::SdkLogRecord;

use super::batch::Record;
use super::message::{Message, nanoseconds};

/// Encodes a log record as a field of `ScopeLogs`, and passes it to `use_it`. Its scope is named after the
/// record's target.
pub(in crate::export) fn encode_log_record<R>(
    record: &SdkLogRecord,
    library: &InstrumentationScope,
    use_it: impl FnOnce(Record<'_>) -> R,
) -> R {
    let target = record.target().map(AsRef::as_ref);
    let scope = target.unwrap_or(library.name());
    Record::encode(scope, library, |message| message.log_record(record), use_it)
}

/// OpenTelemetry's numbers are OTLP's.
#[expect(
    clippy::as_conversions,
    reason = "there is no other conversion from an enum to its number"
)]
fn number(severity: Severity) -> u64 {
    severity as u64
}

impl Message {
    fn log_record(&mut self, record: &SdkLogRecord) {
        self.fixed64(1, record.timestamp().map(nanoseconds).unwrap_or_default());
        self.number(2, record.severity_number().map_or(0, number));
        self.text(3, record.severity_text().unwrap_or_default());
        if let Some(body) = record.body() {
            self.nested(5, |message| message.any_value(body));
        }
        for (key, value) in record.attributes_iter() {
            self.nested(6, |message| message.entry(key.as_str(), value));
        }
        if let Some(trace) = record.trace_context() {
            let flags = trace.trace_flags.unwrap_or_default();
            self.fixed32(8, flags.to_u8().into());
            self.bytes(9, &trace.trace_id.to_bytes());
            self.bytes(10, &trace.span_id.to_bytes());
        }
        let observed = record.observed_timestamp().map(nanoseconds);
        self.fixed64(11, observed.unwrap_or_default());
        self.text(12, record.event_name().unwrap_or_default());
    }

    fn entry(&mut self, key: &str, value: &AnyValue) {
        self.text(1, key);
        self.nested(2, |message| message.any_value(value));
    }

    fn any_value(&mut self, value: &AnyValue) {
        match value {
            AnyValue::String(text) => self.bytes(1, text.as_str().as_bytes()),
            AnyValue::Boolean(value) => self.bool(*value),
            AnyValue::Int(value) => self.int(*value),
            AnyValue::Double(value) => self.double(*value),
            AnyValue::ListAny(values) => self.nested(5, |list| {
                for value in values.iter() {
                    list.nested(1, |message| message.any_value(value));
                }
            }),
            AnyValue::Map(entries) => self.nested(6, |map| {
                for (key, value) in entries.iter() {
                    map.nested(1, |message| message.entry(key.as_str(), value));
                }
            }),
            AnyValue::Bytes(bytes) => self.bytes(7, bytes),
            // OpenTelemetry has no other values.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::{Duration, UNIX_EPOCH};

    use opentelemetry::logs::{LogRecord, Logger, LoggerProvider};
    use opentelemetry::trace::{SpanId, TraceFlags, TraceId};
    use opentelemetry::{Key, KeyValue};
    use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
    use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
    use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
    use opentelemetry_sdk::Resource;
    use opentelemetry_sdk::logs::{LogBatch, SdkLoggerProvider};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use prost::Message as _;

    use super::super::Batch;
    use super::*;

    fn value() -> impl Strategy<Value = AnyValue> {
        let plain = prop_oneof![
            ".{0,200}".prop_map(AnyValue::from),
            any::<bool>().prop_map(AnyValue::from),
            any::<i64>().prop_map(AnyValue::from),
            (-1e9..1e9_f64).prop_map(AnyValue::from),
            vec(any::<u8>(), 0..20).prop_map(|bytes| AnyValue::Bytes(Box::new(bytes))),
        ];
        plain.prop_recursive(2, 8, 3, |inner| {
            let list = vec(inner.clone(), 0..3);
            prop_oneof![
                list.prop_map(|values| AnyValue::ListAny(Box::new(values))),
                // No more than one entry: the order of a map is random.
                ("[a-z]{1,5}", inner).prop_map(|(key, value)| {
                    AnyValue::Map(Box::new(HashMap::from([(Key::from(key), value)])))
                }),
            ]
        })
    }

    fn severity() -> impl Strategy<Value = Severity> {
        prop::sample::select(vec![
            Severity::Trace,
            Severity::Debug2,
            Severity::Info,
            Severity::Warn3,
            Severity::Error,
            Severity::Fatal4,
        ])
    }

    fn record() -> impl Strategy<Value = SdkLogRecord> {
        let times = (proptest::option::of(any::<u32>()), any::<u32>());
        let words = ["", "shop", "shop::orders"];
        let content = (
            prop::sample::select(words.to_vec()),
            prop::sample::select(words.to_vec()),
            proptest::option::of(severity()),
            proptest::option::of(value()),
            vec(("[a-z.]{1,30}", value()), 0..8),
        );
        let trace = proptest::option::of(any::<(u128, u64, Option<bool>)>());
        (times, content, trace).prop_map(|((time, observed), content, trace)| {
            let (target, event, severity, body, attributes) = content;
            let at = |seconds: u32| UNIX_EPOCH + Duration::from_secs(seconds.into());
            let provider = SdkLoggerProvider::builder().build();
            let mut record = provider.logger("test").create_log_record();
            time.into_iter().for_each(|time| record.set_timestamp(at(time)));
            record.set_observed_timestamp(at(observed));
            if !target.is_empty() {
                record.set_target(target);
                record.set_event_name(event);
            }
            if let Some(severity) = severity {
                record.set_severity_number(severity);
                record.set_severity_text(severity.name());
            }
            body.into_iter().for_each(|body| record.set_body(body));
            record.add_attributes(attributes);
            if let Some((trace, span, sampled)) = trace {
                let flags = sampled.map(|sampled| TraceFlags::default().with_sampled(sampled));
                record.set_trace_context(TraceId::from(trace), SpanId::from(span), flags);
            }
            record
        })
    }

    proptest! {
        #[test]
        fn records_are_encoded_as_opentelemetry_proto_encodes_them(records in vec(record(), 1..6)) {
            let scopes = [
                InstrumentationScope::builder("plain").build(),
                InstrumentationScope::builder("full")
                    .with_version("1.2")
                    .with_schema_url("https://example.com/schema")
                    .with_attributes([KeyValue::new("a", 1)])
                    .build(),
            ];
            let records: Vec<_> = records.iter().zip(scopes.iter().cycle()).collect();
            let resource = Resource::builder_empty()
                .with_schema_url([KeyValue::new("service.name", "shop")], "https://example.com/resource")
                .build();

            let mut batch = Batch::default();
            for (record, scope) in &records {
                encode_log_record(record, scope, |record| batch.push(&record));
            }
            let written = batch.into_request(&resource);
            let mut written = ExportLogsServiceRequest::decode(written.as_slice()).unwrap();
            let resource = ResourceAttributesWithSchema::from(&resource);
            let resource_logs = group_logs_by_resource_and_scope(&LogBatch::new(&records), &resource);
            let mut expected = ExportLogsServiceRequest { resource_logs };
            for request in [&mut written, &mut expected] {
                // `opentelemetry-proto` returns the scopes in random order.
                request.resource_logs[0].scope_logs.sort_by_key(|logs| format!("{:?}", logs.scope));
            }
            prop_assert_eq!(written, expected);
        }
    }
}

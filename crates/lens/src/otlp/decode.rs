//! Log records out of OTLP's export requests, and what they share with spans and metrics.

use std::sync::Arc;

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1 as logs_proto;
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::attributes::{Attributes, Value};
use crate::ids::{SpanId, TraceId};
use crate::log::{LogRecord, Severity};
use crate::service_name::ServiceName;
use crate::trace::Scope;

/// The process and library that the items of an export share.
pub(super) struct Origin {
    pub(super) service: ServiceName,
    pub(super) resource: Arc<Attributes>,
    pub(super) scope: Arc<Scope>,
}

/// The log records of an export; an invalid id counts as absent.
pub(crate) fn logs(resource_logs: Vec<logs_proto::ResourceLogs>) -> Vec<LogRecord> {
    let mut items = Vec::new();
    for group in resource_logs {
        let mut origin = Origin::of(group.resource);
        for scope_logs in group.scope_logs {
            origin.enter(scope_logs.scope);
            let records = scope_logs.log_records.into_iter();
            items.extend(records.map(|proto| log_record(proto, &origin)));
        }
    }
    items
}

fn log_record(proto: logs_proto::LogRecord, origin: &Origin) -> LogRecord {
    let times = [proto.time_unix_nano, proto.observed_time_unix_nano];
    LogRecord {
        time_unix_nano: times.into_iter().find(|time| *time != 0).unwrap_or_default(),
        severity: Severity(proto.severity_number),
        severity_text: proto.severity_text,
        body: proto.body.map(value).unwrap_or_default(),
        attributes: attributes(proto.attributes),
        event_name: proto.event_name,
        service: origin.service.clone(),
        resource: Arc::clone(&origin.resource),
        scope: Arc::clone(&origin.scope),
        trace_id: TraceId::from_bytes(&proto.trace_id),
        span_id: SpanId::from_bytes(&proto.span_id),
    }
}

pub(super) fn attributes(pairs: Vec<KeyValue>) -> Attributes {
    let pairs = pairs.into_iter();
    pairs
        .map(|pair| (pair.key, pair.value.map(value).unwrap_or_default()))
        .collect()
}

fn value(proto: AnyValue) -> Value {
    match proto.value {
        Some(any_value::Value::StringValue(text)) => Value::String(text.into()),
        Some(any_value::Value::BoolValue(truth)) => Value::Bool(truth),
        Some(any_value::Value::IntValue(number)) => Value::Int(number),
        Some(any_value::Value::DoubleValue(number)) => Value::Double(number),
        Some(any_value::Value::BytesValue(bytes)) => Value::Bytes(bytes),
        Some(any_value::Value::ArrayValue(array)) => {
            Value::Array(array.values.into_iter().map(value).collect())
        }
        Some(any_value::Value::KvlistValue(map)) => Value::Map(attributes(map.values)),
        // `StringValueStrindex` is an index into a table that only profiles have.
        Some(any_value::Value::StringValueStrindex(_)) | None => Value::Empty,
    }
}

impl Origin {
    pub(super) fn of(resource: Option<Resource>) -> Self {
        let resource = attributes(resource.unwrap_or_default().attributes);
        let service = resource.get_str("service.name").unwrap_or("unknown_service");
        Self {
            service: service.into(),
            resource: Arc::new(resource),
            scope: Arc::default(),
        }
    }

    /// Sets the library of the items that follow.
    pub(super) fn enter(&mut self, scope: Option<InstrumentationScope>) {
        let InstrumentationScope { name, version, .. } = scope.unwrap_or_default();
        self.scope = Arc::new(Scope { name, version });
    }
}

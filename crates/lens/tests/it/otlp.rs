//! Builders for export requests as an SDK sends them.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

/// 2024-05-01 12:00:00 UTC.
pub(crate) const NOON: u64 = 1_714_564_800_000_000_000;

pub(crate) fn trace_id(trace: u128) -> Vec<u8> {
    trace.to_be_bytes().to_vec()
}

/// Ids count from 1; 0 means none.
pub(crate) fn span_id(span: u64) -> Vec<u8> {
    if span == 0 {
        Vec::new()
    } else {
        span.to_be_bytes().to_vec()
    }
}

/// A span of trace 1, times in microseconds after noon.
pub(crate) fn span(id: u64, parent: u64, name: &str, kind: SpanKind, micros: std::ops::Range<u64>) -> Span {
    Span {
        trace_id: trace_id(1),
        span_id: span_id(id),
        parent_span_id: span_id(parent),
        name: name.to_owned(),
        kind: kind.into(),
        start_time_unix_nano: NOON + micros.start * 1_000,
        end_time_unix_nano: NOON + micros.end * 1_000,
        ..Span::default()
    }
}

/// The only span of a trace, with `order.id`.
pub(crate) fn order_span(trace: u128, order_id: &str) -> Span {
    Span {
        trace_id: trace_id(trace),
        attributes: vec![text("order.id", order_id)],
        ..span(1, 0, "POST /api/orders", SpanKind::Server, 0..1_000)
    }
}

pub(crate) fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

pub(crate) fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

pub(crate) fn spans(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans {
        scope: scope(),
        spans,
        ..ScopeSpans::default()
    }];
    let resource_spans = ResourceSpans {
        resource: resource(service),
        scope_spans,
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![resource_spans],
    }
}

pub(crate) fn logs(service: &str, log_records: Vec<LogRecord>) -> ExportLogsServiceRequest {
    let scope_logs = vec![ScopeLogs {
        scope: scope(),
        log_records,
        ..ScopeLogs::default()
    }];
    let resource_logs = ResourceLogs {
        resource: resource(service),
        scope_logs,
        ..ResourceLogs::default()
    };
    ExportLogsServiceRequest {
        resource_logs: vec![resource_logs],
    }
}

pub(crate) fn log(trace: u128, severity: i32, body: &str) -> LogRecord {
    LogRecord {
        time_unix_nano: NOON + 46_100_000,
        severity_number: severity,
        body: Some(AnyValue {
            value: Some(Value::StringValue(body.to_owned())),
        }),
        trace_id: trace_id(trace),
        span_id: span_id(1),
        ..LogRecord::default()
    }
}

pub(crate) fn metrics(service: &str, metrics: Vec<Metric>) -> ExportMetricsServiceRequest {
    let scope_metrics = vec![ScopeMetrics {
        scope: scope(),
        metrics,
        ..ScopeMetrics::default()
    }];
    let resource_metrics = ResourceMetrics {
        resource: resource(service),
        scope_metrics,
        ..ResourceMetrics::default()
    };
    ExportMetricsServiceRequest {
        resource_metrics: vec![resource_metrics],
    }
}

pub(crate) fn counter(name: &str, value: i64) -> Metric {
    let point = NumberDataPoint {
        value: Some(Number::AsInt(value)),
        ..NumberDataPoint::default()
    };
    let sum = Sum {
        data_points: vec![point],
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
        is_monotonic: true,
    };
    Metric {
        name: name.to_owned(),
        unit: "{order}".to_owned(),
        data: Some(Data::Sum(sum)),
        ..Metric::default()
    }
}

pub(crate) fn histogram(name: &str) -> Metric {
    let point = HistogramDataPoint {
        attributes: vec![text("http.route", "/api/orders")],
        count: 3,
        sum: Some(0.5),
        explicit_bounds: vec![0.1, 1.0],
        bucket_counts: vec![2, 1, 0],
        ..HistogramDataPoint::default()
    };
    let histogram = Histogram {
        data_points: vec![point],
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
    };
    Metric {
        name: name.to_owned(),
        unit: "s".to_owned(),
        data: Some(Data::Histogram(histogram)),
        ..Metric::default()
    }
}

fn resource(service: &str) -> Option<Resource> {
    let attributes = vec![
        text("service.name", service),
        text("service.instance.id", &format!("{service}-1")),
    ];
    Some(Resource {
        attributes,
        ..Resource::default()
    })
}

fn scope() -> Option<InstrumentationScope> {
    Some(InstrumentationScope {
        name: "telemetry".to_owned(),
        ..InstrumentationScope::default()
    })
}

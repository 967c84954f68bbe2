//! OTLP exports as a service under load sends them, as protobuf.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Histogram, HistogramDataPoint, Metric, ResourceMetrics, ScopeMetrics, metric,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use prost::Message;

/// Spans or log records of an export: the default of OTEL_BSP_MAX_EXPORT_BATCH_SIZE.
pub(crate) const ITEMS: u32 = 512;
const SPANS_PER_TRACE: u32 = 16;
/// Points of the metric.
const SERIES: u32 = 500;
pub(crate) const METRIC: &str = "http.server.request.duration";

/// Each with the kind of its span.
const OPERATIONS: [(&str, SpanKind); 8] = [
    ("POST /api/orders", SpanKind::Server),
    ("create_order", SpanKind::Internal),
    ("INSERT orders", SpanKind::Client),
    ("send orders", SpanKind::Producer),
    ("process orders", SpanKind::Consumer),
    ("UPDATE orders", SpanKind::Client),
    ("process_payment", SpanKind::Internal),
    ("POST", SpanKind::Client),
];

/// An export of spans, and what one of its traces is found by.
pub(crate) struct Spans {
    pub(crate) body: Vec<u8>,
    pub(crate) trace_id: String,
    pub(crate) order_id: String,
}

/// Spans with 8 attributes each, in traces that are each about one order.
pub(crate) fn spans() -> Spans {
    let (mut trace, mut root, mut order) = (0_u128, 0_u64, String::new());
    let now = nanoseconds(now());
    let spans = (0..ITEMS)
        .zip(OPERATIONS.into_iter().cycle())
        .map(|(number, (name, kind))| {
            let is_root = number.is_multiple_of(SPANS_PER_TRACE);
            let id = fastrand::u64(1..);
            if is_root {
                (trace, root, order) = (fastrand::u128(1..), id, format!("{:032x}", fastrand::u128(..)));
            }
            let failed = number.is_multiple_of(50);
            let start = now + u64::from(number) * 1_000;
            Span {
                trace_id: trace.to_be_bytes().to_vec(),
                span_id: id.to_be_bytes().to_vec(),
                parent_span_id: if is_root {
                    Vec::new()
                } else {
                    root.to_be_bytes().to_vec()
                },
                name: name.to_owned(),
                kind: kind.into(),
                start_time_unix_nano: start,
                end_time_unix_nano: start + 1_000_000 + u64::from(number) * 5_000,
                attributes: vec![
                    text("http.request.method", "POST"),
                    text("url.path", "/api/orders"),
                    integer("http.response.status_code", if failed { 500 } else { 201 }),
                    text("server.address", "127.0.0.1"),
                    text("db.system.name", "postgresql"),
                    text("db.operation.name", "INSERT"),
                    text("order.id", &order),
                    text("customer", &format!("customer-{}", fastrand::u8(..100))),
                ],
                status: failed.then(|| Status {
                    code: 2,
                    ..Status::default()
                }),
                ..Span::default()
            }
        });
    let spans = spans.collect();
    let scope_spans = vec![ScopeSpans {
        scope: Some(scope()),
        spans,
        ..ScopeSpans::default()
    }];
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource()),
            scope_spans,
            ..ResourceSpans::default()
        }],
    };
    Spans {
        body: request.encode_to_vec(),
        trace_id: format!("{trace:032x}"),
        order_id: order,
    }
}

pub(crate) fn logs() -> Vec<u8> {
    let now = nanoseconds(now());
    let record = |number: u32| LogRecord {
        time_unix_nano: now + u64::from(number) * 1_000,
        severity_number: if number.is_multiple_of(50) { 17 } else { 9 },
        body: Some(AnyValue {
            value: Some(any_value::Value::StringValue("the order is processed".to_owned())),
        }),
        attributes: vec![
            text("order.id", &format!("{:032x}", fastrand::u128(..))),
            integer("attempt", 1),
        ],
        trace_id: fastrand::u128(1..).to_be_bytes().to_vec(),
        span_id: fastrand::u64(1..).to_be_bytes().to_vec(),
        ..LogRecord::default()
    };
    let scope_logs = vec![ScopeLogs {
        scope: Some(scope()),
        log_records: (0..ITEMS).map(record).collect(),
        ..ScopeLogs::default()
    }];
    let request = ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs {
            resource: Some(resource()),
            scope_logs,
            ..ResourceLogs::default()
        }],
    };
    request.encode_to_vec()
}

/// A histogram, in export `number` of `of` that are evenly spread over the last 15 minutes.
pub(crate) fn metrics(number: u32, of: u32) -> Vec<u8> {
    const PERIOD: Duration = Duration::from_secs(15 * 60);
    const BOUNDS: [f64; 14] = [
        0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
    ];
    let began = now() - PERIOD;
    let at = began + PERIOD * number / of;
    let point = |series: u32| HistogramDataPoint {
        attributes: vec![
            text("http.route", &format!("/api/orders/{series}")),
            integer("http.response.status_code", 200),
        ],
        start_time_unix_nano: nanoseconds(began),
        time_unix_nano: nanoseconds(at),
        count: u64::from(number) * 15,
        sum: Some(f64::from(number)),
        bucket_counts: vec![u64::from(number); BOUNDS.len() + 1],
        explicit_bounds: BOUNDS.to_vec(),
        ..HistogramDataPoint::default()
    };
    let histogram = Histogram {
        data_points: (0..SERIES).map(point).collect(),
        aggregation_temporality: AggregationTemporality::Cumulative.into(),
    };
    let scope_metrics = vec![ScopeMetrics {
        scope: Some(scope()),
        metrics: vec![Metric {
            name: METRIC.to_owned(),
            unit: "s".to_owned(),
            data: Some(metric::Data::Histogram(histogram)),
            ..Metric::default()
        }],
        ..ScopeMetrics::default()
    }];
    let request = ExportMetricsServiceRequest {
        resource_metrics: vec![ResourceMetrics {
            resource: Some(resource()),
            scope_metrics,
            ..ResourceMetrics::default()
        }],
    };
    request.encode_to_vec()
}

fn resource() -> Resource {
    Resource {
        attributes: vec![text("service.name", "shop-api"), text("service.instance.id", "1")],
        ..Resource::default()
    }
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "bench".to_owned(),
        ..InstrumentationScope::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, any_value::Value::StringValue(value.to_owned()))
}

fn integer(key: &str, value: i64) -> KeyValue {
    attribute(key, any_value::Value::IntValue(value))
}

fn attribute(key: &str, value: any_value::Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

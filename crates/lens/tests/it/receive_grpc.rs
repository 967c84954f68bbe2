//! Exports over gRPC.

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use throughline_lens::{
    MetricKind, PointValue, Severity, SpanKind as Kind, Status as Outcome, Temporality, Value,
};
use tonic::codec::CompressionEncoding;

use crate::otlp::{self, NOON};
use crate::support::lens;

#[tokio::test]
async fn a_span_arrives_with_all_its_fields() {
    let lens = lens().await;
    let sent = Span {
        trace_state: "vendor=1".to_owned(),
        attributes: vec![otlp::text("order.id", "o-1"), otlp::attribute("n", otlp_int(7))],
        dropped_attributes_count: 2,
        events: vec![Event {
            time_unix_nano: NOON,
            name: "woke".to_owned(),
            ..Event::default()
        }],
        links: vec![Link {
            trace_id: otlp::trace_id(9),
            span_id: otlp::span_id(8),
            ..Link::default()
        }],
        status: Some(Status {
            message: "declined".to_owned(),
            code: StatusCode::Error.into(),
        }),
        ..otlp::span(2, 1, "process_payment", SpanKind::Internal, 100..900)
    };

    let mut client = TraceServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    let response = client
        .export(otlp::spans("worker", vec![sent]))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(response.partial_success, None);

    let traces = lens.store().traces();
    let [trace] = traces.as_slice() else {
        panic!("{traces:?}")
    };
    let [span] = trace.spans.as_slice() else {
        panic!("{trace:?}")
    };
    assert_eq!(span.name, "process_payment");
    assert_eq!(
        (span.kind, span.service.as_str(), span.scope.name.as_str()),
        (Kind::Internal, "worker", "telemetry")
    );
    assert_eq!(span.resource.get_str("service.instance.id"), Some("worker-1"));
    assert_eq!(span.span_id.as_bytes(), otlp::span_id(2));
    assert_eq!(span.parent_span_id.unwrap().as_bytes(), otlp::span_id(1));
    assert_eq!(
        (span.start_unix_nano, span.end_unix_nano),
        (NOON + 100_000, NOON + 900_000)
    );
    assert_eq!(span.attributes.get("n"), Some(&Value::Int(7)));
    assert_eq!(
        (span.status, span.status_message.as_str()),
        (Outcome::Error, "declined")
    );
    assert_eq!(span.links[0].trace_id.as_bytes(), otlp::trace_id(9));
    assert_eq!(span.events[0].name, "woke");
    assert_eq!(
        (span.dropped.attributes, span.trace_state.as_str()),
        (2, "vendor=1")
    );
    lens.stop().await;
}

#[tokio::test]
async fn a_gzipped_export_arrives() {
    let lens = lens().await;
    let client = TraceServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    let mut client = client.send_compressed(CompressionEncoding::Gzip);
    client
        .export(otlp::spans("api", vec![otlp::order_span(1, "o-1")]))
        .await
        .unwrap();
    assert_eq!(lens.store().find_by_order("o-1").len(), 1);
}

#[tokio::test]
async fn a_retried_export_is_stored_once() {
    let lens = lens().await;
    let mut client = TraceServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    let export = otlp::spans(
        "api",
        vec![
            otlp::order_span(1, "o-1"),
            otlp::span(2, 1, "create_order", SpanKind::Internal, 10..20),
        ],
    );
    client.export(export.clone()).await.unwrap();
    client.export(export).await.unwrap();
    assert_eq!(lens.store().find_by_order("o-1")[0].spans.len(), 2);
}

#[tokio::test]
async fn spans_without_ids_are_rejected_and_the_others_stored() {
    let lens = lens().await;
    let mut client = TraceServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    let zero = Span {
        trace_id: vec![0; 16],
        ..otlp::order_span(1, "o-1")
    };
    let short = Span {
        span_id: vec![1; 3],
        ..otlp::order_span(1, "o-1")
    };
    let export = otlp::spans("api", vec![zero, short, otlp::order_span(2, "o-2")]);
    let response = client.export(export).await.unwrap().into_inner();
    assert_eq!(response.partial_success.unwrap().rejected_spans, 2);
    assert_eq!(lens.store().traces().len(), 1);
}

#[tokio::test]
async fn log_records_arrive_and_their_order_finds_the_trace() {
    let lens = lens().await;
    let mut traces = TraceServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    let mut logs = LogsServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    let mut record = otlp::log(1, 17, "card declined");
    record.attributes = vec![otlp::text("order.id", "o-9")];
    logs.export(otlp::logs("worker", vec![record])).await.unwrap();
    assert!(
        lens.store().find_by_order("o-9").is_empty(),
        "no span of the trace has arrived yet"
    );
    traces
        .export(otlp::spans(
            "api",
            vec![otlp::span(1, 0, "GET", SpanKind::Server, 0..9)],
        ))
        .await
        .unwrap();

    let found = lens.store().find_by_order("o-9");
    assert_eq!(found[0].spans[0].name, "GET");
    let logs = lens.store().logs_of(&found[0].trace_id);
    assert_eq!(
        (logs[0].severity, logs[0].body.as_str()),
        (Severity::ERROR, Some("card declined"))
    );
    assert_eq!(lens.store().logs(), logs);
}

#[tokio::test]
async fn the_last_export_of_each_metric_is_stored() {
    let lens = lens().await;
    let mut client = MetricsServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    let first = vec![
        otlp::counter("orders.created", 1),
        otlp::histogram("http.server.request.duration"),
    ];
    client.export(otlp::metrics("api", first)).await.unwrap();
    client
        .export(otlp::metrics("api", vec![otlp::counter("orders.created", 5)]))
        .await
        .unwrap();
    client
        .export(otlp::metrics("worker", vec![otlp::counter("orders.created", 7)]))
        .await
        .unwrap();

    let metrics = lens.store().metrics();
    let shown: Vec<_> = metrics
        .iter()
        .map(|metric| (metric.service.as_str(), metric.name.as_str()))
        .collect();
    let expected = [
        ("api", "http.server.request.duration"),
        ("api", "orders.created"),
        ("worker", "orders.created"),
    ];
    assert_eq!(shown, expected);
    assert_eq!(metrics[1].points[0].value, PointValue::Int { value: 5 });
    assert_eq!(
        (metrics[1].monotonic, metrics[1].temporality),
        (true, Temporality::Cumulative)
    );
    assert_eq!(metrics[0].kind, MetricKind::Histogram);
    assert_eq!(
        metrics[0].points[0].attributes.get_str("http.route"),
        Some("/api/orders")
    );
    let PointValue::Distribution {
        count,
        bounds,
        buckets,
        ..
    } = &metrics[0].points[0].value
    else {
        panic!()
    };
    assert_eq!(
        (*count, bounds.as_slice(), buckets.as_slice()),
        (3, [0.1, 1.0].as_slice(), [2, 1, 0].as_slice())
    );
}

fn otlp_int(value: i64) -> opentelemetry_proto::tonic::common::v1::any_value::Value {
    opentelemetry_proto::tonic::common::v1::any_value::Value::IntValue(value)
}

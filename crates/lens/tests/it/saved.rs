//! Telemetry that is saved and loaded.

use std::io::Write;
use std::path::PathBuf;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use throughline_lens::{Lens, MetricQuery};

use crate::otlp::{self, NOON};
use crate::support::{get, lens, lens_with_limit};

/// A file of this content, deleted when dropped.
struct Saved(PathBuf);

impl Saved {
    fn new(name: &str, content: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("throughline-{}-{name}.jsonl", std::process::id()));
        std::fs::File::create(&path).unwrap().write_all(content).unwrap();
        Self(path)
    }
}

impl Drop for Saved {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

async fn fill(lens: &Lens) {
    let mut traces = TraceServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    for (service, first_id) in [("api", 0), ("worker", 10_000)] {
        let of = |trace: u64| Span {
            trace_id: otlp::trace_id(trace.into()),
            trace_state: "vendor=1".to_owned(),
            flags: 257,
            attributes: vec![
                otlp::text("order.id", &format!("o-{trace} \u{1f980} \"quoted\"\n")),
                otlp::attribute("int", Value::IntValue(i64::MIN)),
                otlp::attribute("double", Value::DoubleValue(0.1)),
                otlp::attribute("bool", Value::BoolValue(true)),
                otlp::attribute("bytes", Value::BytesValue(vec![0, 255])),
            ],
            status: Some(Status {
                message: "broken".to_owned(),
                code: StatusCode::Error.into(),
            }),
            events: vec![Event {
                time_unix_nano: NOON,
                name: "event".to_owned(),
                attributes: vec![otlp::text("key", "value")],
                ..Event::default()
            }],
            links: vec![Link {
                trace_id: otlp::trace_id(9),
                span_id: otlp::span_id(9),
                ..Link::default()
            }],
            dropped_events_count: 2,
            ..otlp::span(first_id + trace, 7, service, SpanKind::Client, trace..trace + 5)
        };
        traces
            .export(otlp::spans(service, (1..=1_200).map(of).collect()))
            .await
            .unwrap();
    }
    let mut logs = LogsServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    let records = (1..=700)
        .map(|number| otlp::log(number, 9, &format!("log {number}")))
        .collect();
    logs.export(otlp::logs("api", records)).await.unwrap();
    let mut metrics = MetricsServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    for (seconds, value) in [(10, 1), (20, 5), (30, 5), (40, 5), (50, 9)] {
        let mut metric = otlp::counter("orders.created", value);
        if let Some(Data::Sum(sum)) = &mut metric.data {
            sum.data_points[0].start_time_unix_nano = NOON;
            sum.data_points[0].time_unix_nano = NOON + seconds * 1_000_000_000;
        }
        metrics
            .export(otlp::metrics(
                "api",
                vec![metric, otlp::histogram("request.duration")],
            ))
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn what_is_saved_and_loaded_is_what_was_stored() {
    let saved = lens().await;
    fill(&saved).await;
    let response = get(format!("{}/api/export", saved.page_url())).await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let file = Saved::new("equal", &response.bytes().await.unwrap());

    let loaded = lens().await;
    let report = loaded.load(&file.0).unwrap();
    assert_eq!((report.rejected, report.first_rejected), (0, None));
    let (saved, loaded) = (saved.store(), loaded.store());
    assert_eq!(loaded.traces().len(), 1_200);
    assert!(loaded.traces() == saved.traces());
    assert!(loaded.logs() == saved.logs());
    assert_eq!(loaded.metrics(), saved.metrics());
    let query = MetricQuery {
        name: "orders.created".to_owned(),
        attributes: Vec::new(),
        between: NOON..NOON + 60_000_000_000,
        steps: 10,
    };
    assert_eq!(loaded.series(&query), saved.series(&query));
}

#[tokio::test]
async fn lines_that_are_not_otlp_are_counted_and_the_others_are_loaded() {
    let trace = |id: &str| {
        format!(
            r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{"traceId":"{id}","spanId":"0000000000000001","name":"a"}}]}}]}}]}}"#
        )
    };
    let first = trace("0af7651916cd43dd8448eb211c80319c");
    // The process that wrote the file was killed within the last line.
    let content = format!(
        "{first}\r\n\n[]\n{}\nnot JSON\n{}",
        trace("00000000000000000000000000000000"),
        &first[..50]
    );
    let file = Saved::new("malformed", content.as_bytes());
    let lens = lens().await;
    let report = lens.load(&file.0).unwrap();
    assert_eq!((report.lines, report.rejected), (2, 3));
    let reason = report.first_rejected.unwrap();
    assert!(
        reason.starts_with("line 3: it does not begin with resourceSpans"),
        "{reason}"
    );
    assert_eq!(lens.store().traces().len(), 1);
}

#[tokio::test]
async fn a_line_takes_no_more_memory_than_an_export_may() {
    let lens = lens_with_limit(1024 * 1024).await;
    let line = format!("{{\"resourceSpans\":[{}]}}\n", "{},".repeat(200_000));
    let short = "{\"resourceSpans\":[]}\n";
    let file = Saved::new("long", [line.as_bytes(), short.as_bytes()].concat().as_slice());
    let report = lens.load(&file.0).unwrap();
    assert_eq!((report.lines, report.rejected), (1, 1));
    assert!(report.first_rejected.unwrap().contains("longer than 65536 bytes"));
}

#[tokio::test]
async fn an_absent_file_is_an_error() {
    let error = lens().await.load("/does/not/exist".as_ref()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

//! The JSON API.

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::{logs, metrics};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode as SpanStatus;
use opentelemetry_proto::tonic::trace::v1::{Span, Status, TracesData};
use reqwest::StatusCode;
use serde_json::json;
use throughline_lens::Lens;

use crate::otlp;
use crate::support::{get, get_json, lens};

async fn send(lens: &Lens, service: &str, spans: Vec<Span>) {
    let mut client = TraceServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    client.export(otlp::spans(service, spans)).await.unwrap();
}

#[tokio::test]
async fn a_listed_trace_has_its_summary() {
    let lens = lens().await;
    let failed = Status {
        code: SpanStatus::Error.into(),
        message: String::new(),
    };
    let child = Span {
        status: Some(failed),
        ..otlp::span(2, 1, "process", SpanKind::Consumer, 500..4_250)
    };
    send(&lens, "worker", vec![child]).await;
    send(&lens, "api", vec![otlp::order_span(1, "o-1")]).await;

    let list = get_json(format!("{}/api/traces", lens.page_url()), StatusCode::OK).await;
    let expected = json!({ "data": [{
        "trace_id": "00000000000000000000000000000001",
        "root_name": "POST /api/orders",
        "services": ["api", "worker"],
        "start": "2024-05-01T12:00:00Z",
        "duration_ms": 4.25,
        "spans": 2,
        "errors": 1,
        "order_id": "o-1",
        "keys": { "order.id": "o-1" },
    }], "next": null, "partial": false });
    assert_eq!(list, expected);
}

#[tokio::test]
async fn the_list_is_newest_first_and_filtered_by_service_order_and_limit() {
    let lens = lens().await;
    let started = |trace: u64| {
        let start_time_unix_nano = otlp::NOON + trace;
        Span {
            start_time_unix_nano,
            ..otlp::order_span(trace.into(), &format!("o-{trace}"))
        }
    };
    send(&lens, "api", vec![started(1), started(3), started(2)]).await;
    send(&lens, "other", vec![started(4)]).await;

    let orders = async |query: &str| {
        let list = get_json(format!("{}/api/traces?{query}", lens.page_url()), StatusCode::OK).await;
        let traces = list["data"].as_array().unwrap().iter();
        traces
            .map(|trace| trace["order_id"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(orders("").await, ["o-4", "o-3", "o-2", "o-1"]);
    assert_eq!(orders("service=api&limit=2").await, ["o-3", "o-2"]);
    assert_eq!(orders("order_id=o-2&service=").await, ["o-2"]);
    assert_eq!(orders("order_id=o-2&service=other").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_bad_query_is_a_400_that_names_the_parameter() {
    let lens = lens().await;
    for query in [
        "limit=0",
        "limit=1001",
        "limit=ten",
        "limit=",
        "limit=1&limit=2",
        "orderid=1",
    ] {
        let problem = get_json(
            format!("{}/api/traces?{query}", lens.page_url()),
            StatusCode::BAD_REQUEST,
        )
        .await;
        assert_eq!(
            (&problem["status"], &problem["title"]),
            (&json!(400), &json!("Bad Request"))
        );
        let name = query.split('=').next().unwrap();
        assert!(
            problem["detail"].as_str().unwrap().contains(name),
            "{query}: {problem}"
        );
    }
}

#[tokio::test]
async fn a_trace_is_returned_as_otlp_json() {
    let lens = lens().await;
    let sent = vec![
        Span {
            flags: 257,
            ..otlp::order_span(1, "o-1")
        },
        otlp::span(2, 1, "create_order", SpanKind::Internal, 10..20),
    ];
    send(&lens, "api", sent.clone()).await;

    let response = get(format!(
        "{}/api/traces/00000000000000000000000000000001",
        lens.page_url()
    ))
    .await;
    assert_eq!(response.headers()["content-type"], "application/json");
    let data: TracesData = response.json().await.unwrap();
    let mut expected = otlp::spans("api", sent).resource_spans;
    for span in &mut expected[0].scope_spans[0].spans {
        span.status = Some(Status::default());
    }
    assert_eq!(data.resource_spans, expected);
}

#[tokio::test]
async fn an_unknown_trace_is_a_404_and_a_malformed_id_a_400() {
    let lens = lens().await;
    let at = |id: &str| format!("{}/api/traces/{id}", lens.page_url());
    let missing = get_json(at("0af7651916cd43dd8448eb211c80319c"), StatusCode::NOT_FOUND).await;
    assert_eq!(missing["status"], 404);
    for id in ["0af7", "xyz", "00000000000000000000000000000000"] {
        let problem = get_json(at(id), StatusCode::BAD_REQUEST).await;
        assert!(problem["detail"].as_str().unwrap().contains(id), "{problem}");
    }
}

#[tokio::test]
async fn logs_and_metrics_are_listed() {
    let lens = lens().await;
    let mut client = logs::v1::logs_service_client::LogsServiceClient::connect(lens.otlp_grpc_url())
        .await
        .unwrap();
    client
        .export(otlp::logs(
            "api",
            vec![otlp::log(1, 9, "one"), otlp::log(2, 13, "two")],
        ))
        .await
        .unwrap();
    let url = format!(
        "{}/api/logs?trace_id=00000000000000000000000000000002",
        lens.page_url()
    );
    let logs = get_json(url, StatusCode::OK).await;
    assert_eq!(logs["data"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&logs["data"][0]["body"], &logs["data"][0]["severity"]),
        (&json!("two"), &json!("WARN"))
    );

    let client = metrics::v1::metrics_service_client::MetricsServiceClient::connect(lens.otlp_grpc_url());
    client
        .await
        .unwrap()
        .export(otlp::metrics("api", vec![otlp::counter("orders.created", 2)]))
        .await
        .unwrap();
    let metrics = get_json(format!("{}/api/metrics", lens.page_url()), StatusCode::OK).await;
    assert_eq!(metrics["data"][0]["name"], "orders.created");
    assert_eq!(metrics["data"][0]["points"][0]["value"], 2);

    let names = get_json(format!("{}/api/metrics/names", lens.page_url()), StatusCode::OK).await;
    assert_eq!(names["data"][0]["name"], "orders.created");
    let charted = "from=2024-05-01T00:00:00Z&until=2024-05-02T00:00:00Z&steps=24&q=service%3Dapi";
    let url = format!("{}/api/series/orders.created?{charted}", lens.page_url());
    let chart = get_json(url, StatusCode::OK).await;
    assert_eq!(chart["timeline"]["step_ms"], 3_600_000.0);
    assert_eq!(chart["choices"]["service"], json!(["api"]));
    get_json(
        format!("{}/api/series/orders.lost", lens.page_url()),
        StatusCode::NOT_FOUND,
    )
    .await;
}

//! Exports over HTTP: which are accepted, and how others are rejected.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use reqwest::{Response, StatusCode};
use serde_json::{Value as Json, json};
use throughline_lens::{Lens, PointValue, SpanKind, Value};

use crate::otlp;
use crate::support::{client, lens};

const PROTOBUF: &str = "application/x-protobuf";
const JSON: &str = "application/json";

async fn post(lens: &Lens, path: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Response {
    let request = client()
        .post(format!("{}{path}", lens.otlp_http_url()))
        .body(body);
    let request = headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, *value));
    request.send().await.unwrap()
}

async fn post_traces(lens: &Lens, content_type: &str, body: Vec<u8>) -> Response {
    post(lens, "/v1/traces", &[("content-type", content_type)], body).await
}

fn content_type(response: &Response) -> &str {
    response.headers()["content-type"].to_str().unwrap()
}

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_protobuf_export_gets_a_protobuf_response() {
    let lens = lens().await;
    let export = otlp::spans("api", vec![otlp::order_span(1, "o-1")]).encode_to_vec();
    let response = post_traces(&lens, PROTOBUF, export).await;
    assert_eq!(
        (response.status(), content_type(&response)),
        (StatusCode::OK, PROTOBUF)
    );
    let body = ExportTraceServiceResponse::decode(response.bytes().await.unwrap()).unwrap();
    assert_eq!(body, ExportTraceServiceResponse::default());
    assert_eq!(lens.store().find_by_order("o-1").len(), 1);
    lens.stop().await;
}

#[tokio::test]
async fn a_json_export_gets_a_json_response() {
    let lens = lens().await;
    let export = json!({ "resourceSpans": [{
        "resource": { "attributes": [{ "key": "service.name", "value": { "stringValue": "shop" } }] },
        "scopeSpans": [{ "scope": { "name": "by-hand" }, "spans": [{
            "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "EEE19B7EC3C1B174",
            "name": "checkout", "kind": 2,
            "startTimeUnixNano": "1714564800000000000", "endTimeUnixNano": 1_714_564_800_004_000_000_u64,
            "attributes": [
                { "key": "order.id", "value": { "stringValue": "o-1" } },
                { "key": "items", "value": { "intValue": "3" } },
                { "key": "ratio", "value": { "doubleValue": 1 } },
                { "key": "tags", "value": { "arrayValue": { "values": [{ "boolValue": true }] } } },
            ],
            "status": { "code": 2, "message": "no" }, "aFieldOfTomorrow": {},
        }] }],
    }] });
    let response = post_traces(
        &lens,
        "application/json; charset=utf-8",
        export.to_string().into(),
    )
    .await;
    assert_eq!(
        (response.status(), content_type(&response)),
        (StatusCode::OK, JSON)
    );
    assert_eq!(response.text().await.unwrap(), "{}");

    let span = lens.store().find_by_order("o-1").remove(0).spans.remove(0);
    assert_eq!(span.trace_id.to_string(), "5b8efff798038103d269b633813fc60c");
    assert_eq!(
        (span.service.as_str(), span.kind, span.duration().as_millis()),
        ("shop", SpanKind::Server, 4)
    );
    assert_eq!(span.attributes.get("items"), Some(&Value::Int(3)));
    assert_eq!(span.attributes.get("ratio"), Some(&Value::Double(1.0)));
    assert_eq!(
        span.attributes.get("tags"),
        Some(&Value::Array(vec![Value::Bool(true)]))
    );
    assert!(span.failed());
}

#[tokio::test]
async fn gzip_is_decompressed_in_both_formats() {
    let lens = lens().await;
    let protobuf = gzip(&otlp::spans("api", vec![otlp::order_span(1, "o-1")]).encode_to_vec());
    let json = gzip(&serde_json::to_vec(&otlp::spans("api", vec![otlp::order_span(2, "o-2")])).unwrap());
    for (format, body) in [(PROTOBUF, protobuf), (JSON, json)] {
        let headers = [("content-type", format), ("content-encoding", "gzip")];
        assert_eq!(
            post(&lens, "/v1/traces", &headers, body).await.status(),
            StatusCode::OK,
            "{format}"
        );
    }
    assert_eq!(lens.store().traces().len(), 2);
}

#[tokio::test]
async fn logs_and_metrics_arrive_in_both_formats() {
    let lens = lens().await;
    let metrics = otlp::metrics(
        "api",
        vec![otlp::counter("orders.created", 4), otlp::histogram("latency")],
    );
    let logs = otlp::logs("api", vec![otlp::log(1, 9, "created")]);
    for (format, metrics, logs) in [
        (PROTOBUF, metrics.encode_to_vec(), logs.encode_to_vec()),
        (
            JSON,
            serde_json::to_vec(&metrics).unwrap(),
            serde_json::to_vec(&logs).unwrap(),
        ),
    ] {
        let headers = [("content-type", format)];
        assert_eq!(
            post(&lens, "/v1/metrics", &headers, metrics).await.status(),
            StatusCode::OK
        );
        assert_eq!(
            post(&lens, "/v1/logs", &headers, logs).await.status(),
            StatusCode::OK
        );
    }
    assert_eq!(lens.store().logs().len(), 2);
    assert_eq!(lens.store().metrics().len(), 2);
    assert_eq!(
        lens.store().metrics()[1].points[0].value,
        PointValue::Int { value: 4 }
    );
}

#[tokio::test]
async fn a_malformed_body_is_a_400_with_a_status_in_the_same_format() {
    let lens = lens().await;
    for body in [
        "{",
        r#"{"resourceSpans": 3}"#,
        r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"xy"}]}]}]}"#,
    ] {
        let response = post_traces(&lens, JSON, body.into()).await;
        assert_eq!(
            (response.status(), content_type(&response)),
            (StatusCode::BAD_REQUEST, JSON)
        );
        let status: Json = response.json().await.unwrap();
        assert_eq!(status["code"], 3);
        assert!(
            status["message"]
                .as_str()
                .unwrap()
                .starts_with("the body is not an OTLP export request"),
            "{status}"
        );
    }

    let response = post_traces(&lens, PROTOBUF, b"not protobuf".to_vec()).await;
    assert_eq!(
        (response.status(), content_type(&response)),
        (StatusCode::BAD_REQUEST, PROTOBUF)
    );
    // google.rpc.Status: field 1, a varint, is the code; 3 is INVALID_ARGUMENT.
    assert!(response.bytes().await.unwrap().starts_with(&[0x08, 3]));

    let headers = [("content-type", PROTOBUF), ("content-encoding", "gzip")];
    let response = post(&lens, "/v1/traces", &headers, b"not gzip".to_vec()).await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(lens.store().traces().is_empty());
}

#[tokio::test]
async fn other_formats_and_encodings_are_a_415() {
    let lens = lens().await;
    for content_type in ["text/plain", "application/xml", ""] {
        let response = post_traces(&lens, content_type, Vec::new()).await;
        assert_eq!(
            response.status(),
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "{content_type}"
        );
    }
    let headers = [("content-type", JSON), ("content-encoding", "br")];
    assert_eq!(
        post(&lens, "/v1/traces", &headers, b"{}".to_vec()).await.status(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
}

#[tokio::test]
async fn an_export_beyond_the_limit_is_a_413_compressed_or_not() {
    let lens = lens().await;
    let large = vec![b' '; 16 * 1024 * 1024 + 1];
    assert_eq!(
        post_traces(&lens, JSON, large.clone()).await.status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
    let headers = [("content-type", JSON), ("content-encoding", "gzip")];
    assert_eq!(
        post(&lens, "/v1/traces", &headers, gzip(&large)).await.status(),
        StatusCode::PAYLOAD_TOO_LARGE
    );
}

#[tokio::test]
async fn rejected_spans_are_counted_in_the_response() {
    let lens = lens().await;
    let export = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"name":"without ids"}]}]}]}"#;
    let response = post_traces(&lens, JSON, export.into()).await;
    assert_eq!(response.status(), StatusCode::OK);
    let body: Json = response.json().await.unwrap();
    assert_eq!(body["partialSuccess"]["rejectedSpans"], "1");
}

#[tokio::test]
async fn only_post_is_allowed() {
    let lens = lens().await;
    let response = client()
        .get(format!("{}/v1/traces", lens.otlp_http_url()))
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
}

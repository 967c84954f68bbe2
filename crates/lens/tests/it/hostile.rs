//! Exports that are small when sent and large in memory, and pages of other sites.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use prost::Message;
use reqwest::StatusCode;
use throughline_lens::Lens;
use tonic::Code;
use tonic::codec::CompressionEncoding;

use crate::otlp;
use crate::support::{client, lens};

/// 1.6 MB on the wire, a few KB compressed, and 200 MB in memory as spans.
const ITEMS: usize = 800_000;

async fn post(lens: &Lens, content_type: &str, body: &[u8]) -> StatusCode {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
    gzip.write_all(body).unwrap();
    let request = client()
        .post(format!("{}/v1/traces", lens.otlp_http_url()))
        .header("content-type", content_type)
        .header("content-encoding", "gzip")
        .body(gzip.finish().unwrap());
    request.send().await.unwrap().status()
}

fn export(spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans {
        spans,
        ..ScopeSpans::default()
    }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            scope_spans,
            ..ResourceSpans::default()
        }],
    }
}

fn array(values: Vec<AnyValue>) -> AnyValue {
    AnyValue {
        value: Some(any_value::Value::ArrayValue(ArrayValue { values })),
    }
}

/// An attribute with many values that are absent.
fn attribute_of_many_values() -> Vec<u8> {
    let attribute = otlp::attribute("many", array(vec![AnyValue::default(); ITEMS]).value.unwrap());
    let span = Span {
        attributes: vec![attribute],
        ..Span::default()
    };
    export(vec![span]).encode_to_vec()
}

#[tokio::test]
async fn an_export_that_is_too_large_in_memory_is_refused_before_it_is_decoded() {
    let lens = lens().await;
    let spans = export(vec![Span::default(); ITEMS]).encode_to_vec();
    let json = format!(
        r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{}}{}]}}]}}]}}"#,
        ",{}".repeat(ITEMS)
    );
    for (content_type, body) in [
        ("application/x-protobuf", spans),
        ("application/x-protobuf", attribute_of_many_values()),
        ("application/json", json.into_bytes()),
    ] {
        assert_eq!(
            post(&lens, content_type, &body).await,
            StatusCode::PAYLOAD_TOO_LARGE
        );
    }
}

#[tokio::test]
async fn a_call_that_is_too_large_in_memory_is_refused_before_it_is_decoded() {
    let lens = lens().await;
    let client = TraceServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    let mut client = client.send_compressed(CompressionEncoding::Gzip);
    let refused = client
        .export(export(vec![Span::default(); ITEMS]))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
}

#[tokio::test]
async fn values_in_values_without_end_are_refused() {
    let lens = lens().await;
    let mut nested = array(Vec::new());
    for _ in 0..200 {
        nested = array(vec![nested]);
    }
    let span = Span {
        attributes: vec![otlp::attribute("deep", nested.value.unwrap())],
        ..otlp::order_span(1, "o-1")
    };
    // Beside the deep span, enough bytes for a scan.
    let padding = otlp::order_span(2, &"x".repeat(1_000_000));
    for spans in [vec![span.clone()], vec![span, padding]] {
        let body = export(spans).encode_to_vec();
        assert_eq!(
            post(&lens, "application/x-protobuf", &body).await,
            StatusCode::BAD_REQUEST
        );
    }
    assert!(lens.store().traces().is_empty());
}

#[tokio::test]
async fn a_page_of_another_site_that_resolves_to_this_machine_reads_and_writes_nothing() {
    let lens = lens().await;
    let port = |url: String| url.rsplit_once(':').unwrap().1.to_owned();
    let page = port(lens.page_url());
    let otlp = port(lens.otlp_http_url());
    let status = |port: String, path: &'static str, host: &'static str| async move {
        let url = format!("http://127.0.0.1:{port}{path}");
        let request = client().get(url).header("host", host);
        request.send().await.unwrap().status()
    };
    for path in ["/", "/api/traces", "/api/logs", "/health"] {
        for host in ["evil.example", "evil.example:8100", "127.0.0.1.evil.example"] {
            let refused = status(page.clone(), path, host).await;
            assert_eq!(refused, StatusCode::MISDIRECTED_REQUEST, "{host}{path}");
        }
        for host in ["localhost", "localhost:8100", "127.0.0.1:8100", "[::1]:8100"] {
            assert_eq!(
                status(page.clone(), path, host).await,
                StatusCode::OK,
                "{host}{path}"
            );
        }
    }
    let refused = status(otlp, "/v1/traces", "evil.example").await;
    assert_eq!(refused, StatusCode::MISDIRECTED_REQUEST);
}

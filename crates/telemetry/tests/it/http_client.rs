//! The CLIENT span of every kind of call.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::LazyLock;
use std::time::Duration;

use lens::{Span, SpanKind, Status, TraceId};
use opentelemetry::trace::FutureExt;
use throughline_telemetry::http::client::Client;
use throughline_telemetry::http::server::Inbound;
use throughline_telemetry::propagation;
use tracing::Instrument;

use crate::app;
use crate::support::{attribute, caller_with_baggage, is_child, keys, lens, point, span_of, trace};

fn url() -> &'static str {
    static URL: LazyLock<String> = LazyLock::new(|| app::start(Inbound::Parent));
    &URL
}

/// Calls within a new trace.
async fn call(method: &str, url: &str, resends: u32) -> (TraceId, Result<u16, reqwest::Error>) {
    lens();
    let plain = reqwest::Client::builder()
        .timeout(Duration::from_secs(2))
        .build()
        .unwrap();
    let client = Client::new(plain.clone());
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let request = plain.request(method, url).build().unwrap();
    let test = tracing::info_span!("test");
    let id = test.in_scope(|| throughline_telemetry::span::current_trace_id().unwrap());
    let calling = client.execute_again(request, resends).instrument(test);
    let result = calling.await.map(|response| response.status().as_u16());
    (id.parse().unwrap(), result)
}

async fn client_span(id: TraceId) -> Span {
    let trace = trace(id, 2).await;
    let span = trace.spans.into_iter().find(|span| span.kind == SpanKind::Client);
    span.unwrap()
}

#[tokio::test]
async fn a_call_is_described_by_the_conventions_and_carries_its_trace() {
    let (id, status) = call("GET", &format!("{}/items/1?key=abc&limit=1#top", url()), 0).await;
    assert_eq!(status.unwrap(), 200);
    let server = span_of(id, "GET /items/{id}").await;
    let client = client_span(id).await;
    assert!(is_child(&server, &client));
    assert_eq!(client.name, "GET");
    assert_eq!(client.status, Status::Unset);
    assert_eq!(
        keys(&client.attributes),
        [
            "http.request.method",
            "http.response.status_code",
            "network.protocol.version",
            "server.address",
            "server.port",
            "url.full",
        ]
    );
    assert_eq!(
        attribute(&client, "url.full").unwrap(),
        format!("{}/items/1?key=REDACTED&limit=1", url())
    );
    let port = attribute(&client, "server.port").unwrap();
    let attributes = [
        ("server.port", port.as_str()),
        ("http.response.status_code", "200"),
    ];
    let (metric, point) = point("http.client.request.duration", &attributes).await;
    assert_eq!(metric.unit, "s");
    assert_eq!(
        keys(&point.attributes),
        [
            "http.request.method",
            "http.response.status_code",
            "network.protocol.version",
            "server.address",
            "server.port",
        ]
    );
}

#[tokio::test]
async fn a_4xx_and_a_5xx_are_errors_of_the_call() {
    for (path, code) in [("/bad", "400"), ("/broken", "500")] {
        let (id, _) = call("GET", &format!("{}{path}", url()), 0).await;
        let span = client_span(id).await;
        assert_eq!(span.status, Status::Error);
        assert_eq!(attribute(&span, "error.type").unwrap(), code);
        assert_eq!(attribute(&span, "http.response.status_code").unwrap(), code);
    }
}

#[tokio::test]
async fn a_timeout_and_a_refused_connection_are_different_errors() {
    let (id, result) = call("GET", &format!("{}/never", url()), 0).await;
    assert!(result.is_err());
    let span = client_span(id).await;
    assert_eq!(span.status, Status::Error);
    assert_eq!(attribute(&span, "error.type").unwrap(), "timeout");
    assert_eq!(attribute(&span, "http.response.status_code"), None);

    // Bound and closed again, so it has no listener.
    let port = TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (id, _) = call("GET", &format!("http://127.0.0.1:{port}/"), 0).await;
    let span = client_span(id).await;
    assert_eq!(attribute(&span, "error.type").unwrap(), "connect");
    point("http.client.request.duration", &[("error.type", "connect")]).await;
}

#[tokio::test]
async fn an_incomplete_response_is_an_error() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let hang_up = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.read(&mut [0; 1024]);
    });
    let (id, result) = call("GET", &format!("http://127.0.0.1:{port}/"), 0).await;
    hang_up.join().unwrap();
    assert!(result.is_err());
    let span = client_span(id).await;
    assert_eq!(attribute(&span, "error.type").unwrap(), "request");
}

#[tokio::test]
async fn a_retry_has_its_number() {
    let (id, _) = call("GET", &format!("{}/empty", url()), 2).await;
    let span = client_span(id).await;
    assert_eq!(attribute(&span, "http.request.resend_count").unwrap(), "2");
}

#[tokio::test]
async fn an_unknown_method_does_not_become_a_name() {
    let (id, _) = call("BREW", &format!("{}/empty", url()), 0).await;
    let span = client_span(id).await;
    assert_eq!(span.name, "HTTP");
    assert_eq!(attribute(&span, "http.request.method").unwrap(), "_OTHER");
    assert_eq!(attribute(&span, "http.request.method_original").unwrap(), "BREW");
}

#[tokio::test]
async fn a_call_that_is_dropped_ends_as_cancelled() {
    lens();
    let plain = reqwest::Client::new();
    let client = Client::new(plain.clone());
    let request = plain.get(format!("{}/never", url())).build().unwrap();
    let test = tracing::info_span!("test");
    let id = test.in_scope(|| throughline_telemetry::span::current_trace_id().unwrap());
    let calling = client.execute(request).instrument(test);
    let _ = tokio::time::timeout(Duration::from_millis(50), calling).await;
    let span = client_span(id.parse().unwrap()).await;
    assert_eq!(attribute(&span, "error.type").unwrap(), "cancelled");
}

#[tokio::test]
async fn what_callers_write_is_sent_only_on_request() {
    lens();
    let plain = reqwest::Client::new();
    let client = Client::new(plain.clone());
    for (client, goes_on) in [(client.clone(), false), (client.with_caller_data(), true)] {
        let (url, head) = listen_once();
        let request = plain.get(url).build().unwrap();
        let caller = caller_with_baggage();
        let calling = client.execute(request);
        calling.with_context(propagation::extract(&caller)).await.unwrap();
        let head = head.join().unwrap();
        let (trace_id, _) = caller["traceparent"].rsplit_once('-').unwrap();
        assert!(head.contains(&trace_id[..35]), "{head}");
        assert_eq!(head.contains("tracestate: vendor=7"), goes_on, "{head}");
        assert_eq!(head.contains("joe"), goes_on, "{head}");
    }
}

/// Responds to one request. Returns its URL, and the head of that request.
fn listen_once() -> (String, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answering = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            socket.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        socket.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap();
        String::from_utf8(head).unwrap()
    });
    (url, answering)
}

//! The CLIENT span of every kind of call.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::LazyLock;
use std::time::Duration;

use lens::{Span, SpanKind, Status, TraceId};
use opentelemetry::KeyValue;
use opentelemetry::trace::FutureExt;
use throughline_telemetry::http::client::{Call, CallTracing, Client};
use throughline_telemetry::http::server::Inbound;
use throughline_telemetry::propagation;
use tracing::Instrument;

use crate::app;
use crate::support::{
    attribute, caller_with_baggage, eventually, is_child, keys, lens, point, span_of, trace,
};

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

/// Does the work within a new trace, and returns its client spans in the order of their starts.
async fn calls(work: impl Future<Output = ()>, count: usize) -> Vec<Span> {
    lens();
    let test = tracing::info_span!("test");
    let id = test.in_scope(|| throughline_telemetry::span::current_trace_id().unwrap());
    work.instrument(test).await;
    let id = id.parse().unwrap();
    let client = |trace: &lens::Trace| {
        trace
            .spans
            .iter()
            .filter(|it| it.kind == SpanKind::Client)
            .count()
    };
    let trace = eventually("the calls", || {
        lens().store().trace(&id).filter(|trace| client(trace) >= count)
    });
    let mut spans = trace.await.spans;
    spans.retain(|span| span.kind == SpanKind::Client);
    spans.sort_by_key(|span| span.start_unix_nano);
    spans
}

#[tokio::test]
async fn a_call_is_named_by_the_template_of_its_url() {
    let tracing = CallTracing::new().url_templates(["/empty/{id}", "/items/{id}"]);
    let client = Client::new(reqwest::Client::new()).with_tracing(tracing);
    let own = calls(
        async {
            let call = client.get(format!("{}/empty", url())).url_template("/{what}");
            let call = call.with(|request| request.header("x-note", "fragile"));
            assert_eq!(call.send().await.unwrap().status(), 200);
            client.get(format!("{}/items/1", url())).send().await.unwrap();
            client
                .post(format!("{}/items/1/none", url()))
                .send()
                .await
                .unwrap();
            client
                .head(format!("{}/items/1", url()))
                .span_name("peek")
                .send()
                .await
                .unwrap();
        },
        4,
    );
    let spans = own.await;
    let names: Vec<_> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["GET /{what}", "GET /items/{id}", "POST", "peek"]);
    assert_eq!(attribute(&spans[0], "url.template").unwrap(), "/{what}");
    assert_eq!(attribute(&spans[2], "url.template"), None);
    point("http.client.request.duration", &[("url.template", "/{what}")]).await;
}

#[tokio::test]
async fn a_host_or_a_call_can_be_left_without_the_trace_context() {
    lens();
    let plain = Client::new(reqwest::Client::new());
    let but = |hosts: &[&str]| {
        let tracing = CallTracing::new().without_propagation_to(hosts.iter().copied());
        plain.clone().with_tracing(tracing)
    };
    for (client, call, is_sent) in [
        (plain.clone(), Call::new(), true),
        (plain.clone(), Call::new().without_propagation(), false),
        (but(&["example.com", "127.0.0.1"]), Call::new(), false),
        (but(&[".0.0.1"]), Call::new(), false),
        (but(&["0.0.1", "example.com"]), Call::new(), true),
    ] {
        let (url, head) = listen_once();
        let request = client.plain().get(url).build().unwrap();
        let calling = async {
            client.execute_with(request, call.clone()).await.unwrap();
        };
        let spans = calls(calling, 1).await;
        assert_eq!(spans.len(), 1);
        let head = head.join().unwrap();
        assert_eq!(head.contains("traceparent"), is_sent, "{call:?} {head}");
    }
}

#[tokio::test]
async fn a_service_adds_attributes_of_the_request_and_of_the_response() {
    let header = |headers: &reqwest::header::HeaderMap, name| {
        headers
            .get(name)
            .and_then(|it| it.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let tracing = CallTracing::new()
        .on_request(move |request| vec![KeyValue::new("parcel.note", header(request.headers(), "x-note"))])
        .on_response(move |response| {
            vec![KeyValue::new(
                "parcel.size",
                header(response.headers(), "content-length"),
            )]
        });
    let client = Client::new(reqwest::Client::new()).with_tracing(tracing);
    let call = client
        .get(format!("{}/items/1", url()))
        .with(|it| it.header("x-note", "fragile"));
    let calling = async {
        call.send().await.unwrap();
    };
    let spans = calls(calling, 1).await;
    assert_eq!(attribute(&spans[0], "parcel.note").unwrap(), "fragile");
    assert_eq!(attribute(&spans[0], "parcel.size").unwrap(), "7");
}

/// Sends each request twice, as a middleware that retries.
struct Twice;

#[async_trait::async_trait]
impl reqwest_middleware::Middleware for Twice {
    async fn handle(
        &self,
        request: reqwest::Request,
        extensions: &mut http::Extensions,
        next: reqwest_middleware::Next<'_>,
    ) -> reqwest_middleware::Result<reqwest::Response> {
        let again = request.try_clone().unwrap();
        next.clone().run(request, extensions).await?;
        next.run(again, extensions).await
    }
}

#[tokio::test]
async fn the_middleware_traces_each_attempt_inside_of_one_that_retries() {
    let client = reqwest_middleware::ClientBuilder::new(reqwest::Client::new())
        .with(Twice)
        .with(CallTracing::new())
        .build();
    let call = client.get(format!("{}/items/1", url()));
    let call = call.with_extension(Call::new().url_template("/items/{id}"));
    let calling = async {
        assert_eq!(call.send().await.unwrap().status(), 200);
    };
    let spans = calls(calling, 2).await;
    for (span, resends) in spans.iter().zip([None, Some("1")]) {
        assert_eq!(span.name, "GET /items/{id}");
        assert_eq!(attribute(span, "http.request.resend_count").as_deref(), resends);
        let server = eventually("the server's span", || {
            let trace = lens().store().trace(&span.trace_id)?;
            trace.spans.into_iter().find(|server| is_child(server, span))
        });
        assert_eq!(server.await.kind, SpanKind::Server);
    }
}

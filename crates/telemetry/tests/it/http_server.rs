//! The SERVER span of every kind of request.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::LazyLock;
use std::time::Duration;

use lens::{Span, SpanKind, Status, TraceId};
use throughline_telemetry::http::server::Inbound;

use crate::app;
use crate::support::{
    attribute, caller, eventually, is_child_of_caller, keys, lens, logs, only_span, point, span_of, text,
};

fn url() -> &'static str {
    static URL: LazyLock<String> = LazyLock::new(|| app::start(Inbound::Parent));
    &URL
}

fn client() -> reqwest::Client {
    lens();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap()
}

/// Sends a request in a new trace. Returns the trace, and the status if there was a response.
async fn send(method: &str, path: &str) -> (TraceId, Option<u16>) {
    let caller = caller();
    let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
    let request = client()
        .request(method, format!("{}{path}", url()))
        .header("traceparent", &caller.traceparent);
    let status = match request.send().await {
        Ok(response) => {
            let status = response.status().as_u16();
            response.bytes().await.ok().map(|_| status)
        }
        Err(_) => None,
    };
    (caller.trace_id, status)
}

async fn server_span(method: &str, path: &str) -> Span {
    let (id, _) = send(method, path).await;
    only_span(id).await
}

#[tokio::test]
async fn a_request_is_described_by_the_conventions() {
    let span = server_span("GET", "/items/7?token=abc&limit=2").await;
    assert_eq!(span.name, "GET /items/{id}");
    assert_eq!(span.kind, SpanKind::Server);
    assert_eq!(span.status, Status::Unset);
    assert!(is_child_of_caller(&span));
    assert_eq!(
        keys(&span.attributes),
        [
            "client.address",
            "http.auth.present",
            "http.request.method",
            "http.response.status_code",
            "http.route",
            "network.peer.address",
            "network.peer.port",
            "network.protocol.name",
            "network.protocol.version",
            "order.id",
            "server.address",
            "server.port",
            "url.path",
            "url.query",
            "url.scheme",
        ]
    );
    for (name, value) in [
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("http.route", "/items/{id}"),
        ("url.path", "/items/7"),
        ("url.query", "token=REDACTED&limit=2"),
        ("url.scheme", "http"),
        ("server.address", "127.0.0.1"),
        ("client.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("http.auth.present", "false"),
        ("order.id", "7"),
    ] {
        assert_eq!(attribute(&span, name).as_deref(), Some(value), "{name}");
    }
}

#[tokio::test]
async fn the_duration_is_measured_with_few_attributes() {
    server_span("GET", "/items/8").await;
    let attributes = [
        ("http.route", "/items/{id}"),
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
    ];
    let (metric, point) = point("http.server.request.duration", &attributes).await;
    assert_eq!(metric.unit, "s");
    assert_eq!(
        keys(&point.attributes),
        [
            "http.request.method",
            "http.response.status_code",
            "http.route",
            "network.protocol.version",
            "url.scheme",
        ]
    );
}

#[tokio::test]
async fn the_server_address_is_never_the_host_header() {
    let caller = caller();
    let mut socket = TcpStream::connect(url().trim_start_matches("http://")).unwrap();
    write!(
        socket,
        "GET /items/1 HTTP/1.1\r\nHost: evil.example.com:1\r\nAuthorization: Bearer x\r\ntraceparent: {}\r\nConnection: close\r\n\r\n",
        caller.traceparent
    )
    .unwrap();
    socket.read_to_string(&mut String::new()).unwrap();
    let span = only_span(caller.trace_id).await;
    assert_eq!(attribute(&span, "server.address").unwrap(), "127.0.0.1");
    assert_eq!(attribute(&span, "http.auth.present").unwrap(), "true");
    assert!(!span.attributes.to_string().contains("evil"));
}

#[tokio::test]
async fn every_kind_of_body_ends_its_span() {
    for (method, path, status) in [
        ("HEAD", "/items/1", 200),
        ("GET", "/empty", 200),
        ("GET", "/not-modified", 304),
        ("GET", "/short-body", 200),
    ] {
        let (id, answered) = send(method, path).await;
        assert_eq!(answered, Some(status));
        let span = only_span(id).await;
        assert_eq!(span.status, Status::Unset, "{method} {path}");
        assert_eq!(attribute(&span, "error.type"), None, "{method} {path}");
        let code = attribute(&span, "http.response.status_code");
        assert_eq!(code, Some(status.to_string()), "{method} {path}");
    }
}

#[tokio::test]
async fn the_span_lasts_as_long_as_the_body_and_contains_its_spans() {
    let (id, status) = send("GET", "/stream").await;
    assert_eq!(status, Some(200));
    let server = span_of(id, "GET /stream").await;
    let chunk = span_of(id, "chunk").await;
    assert_eq!(chunk.parent_span_id, Some(server.span_id));
    assert!(chunk.end_unix_nano <= server.end_unix_nano);
    assert_eq!(server.status, Status::Unset);
}

#[tokio::test]
async fn a_client_that_disconnects_during_the_body_ends_the_span_as_cancelled() {
    let caller = caller();
    let mut socket = TcpStream::connect(url().trim_start_matches("http://")).unwrap();
    write!(
        socket,
        "GET /endless HTTP/1.1\r\nHost: x\r\ntraceparent: {}\r\n\r\n",
        caller.traceparent
    )
    .unwrap();
    socket.read_exact(&mut [0; 64 << 10]).unwrap();
    drop(socket);
    let span = only_span(caller.trace_id).await;
    assert_eq!(span.status, Status::Error);
    assert_eq!(attribute(&span, "error.type").unwrap(), "cancelled");
    assert_eq!(attribute(&span, "http.response.status_code").unwrap(), "200");
    point(
        "http.server.request.duration",
        &[("http.route", "/endless"), ("error.type", "cancelled")],
    )
    .await;
}

#[tokio::test]
async fn a_handler_that_is_dropped_ends_the_span_as_cancelled() {
    let caller = caller();
    let request = client()
        .get(format!("{}/never", url()))
        .header("traceparent", &caller.traceparent)
        .timeout(Duration::from_secs(2));
    request.send().await.unwrap_err();
    let span = only_span(caller.trace_id).await;
    assert_eq!(span.status, Status::Error);
    assert_eq!(attribute(&span, "error.type").unwrap(), "cancelled");
    assert_eq!(attribute(&span, "http.response.status_code"), None);
}

#[tokio::test]
async fn a_handler_that_panics_ends_the_span_as_a_panic() {
    let (id, status) = send("GET", "/panics").await;
    assert_eq!(status, None);
    let span = only_span(id).await;
    assert_eq!(span.status, Status::Error);
    assert_eq!(attribute(&span, "error.type").unwrap(), "panic");
}

#[tokio::test]
async fn a_body_that_breaks_ends_the_span_as_an_error() {
    let span = server_span("GET", "/broken-body").await;
    assert_eq!(span.status, Status::Error);
    assert_eq!(attribute(&span, "error.type").unwrap(), "body");
}

#[tokio::test]
async fn a_4xx_is_no_error_of_the_server_and_a_5xx_is_one() {
    let bad = server_span("GET", "/bad").await;
    assert_eq!(bad.status, Status::Unset);
    assert_eq!(attribute(&bad, "error.type"), None);
    assert_eq!(attribute(&bad, "http.response.status_code").unwrap(), "400");

    let broken = server_span("GET", "/broken").await;
    assert_eq!(broken.status, Status::Error);
    assert_eq!(broken.status_message, "");
    assert_eq!(attribute(&broken, "error.type").unwrap(), "500");
    point(
        "http.server.request.duration",
        &[("http.route", "/broken"), ("error.type", "500")],
    )
    .await;
}

#[tokio::test]
async fn an_unknown_method_does_not_become_a_name() {
    let span = server_span("BREW", "/items/1").await;
    assert_eq!(span.name, "HTTP /items/{id}");
    assert_eq!(attribute(&span, "http.request.method").unwrap(), "_OTHER");
    assert_eq!(attribute(&span, "http.request.method_original").unwrap(), "BREW");
}

#[tokio::test]
async fn a_path_that_matches_no_route_does_not_become_a_name() {
    let span = server_span("GET", "/wp-admin/42").await;
    assert_eq!(span.name, "GET");
    assert_eq!(attribute(&span, "http.route"), None);
    assert_eq!(attribute(&span, "url.path").unwrap(), "/wp-admin/42");
    assert_eq!(attribute(&span, "http.response.status_code").unwrap(), "404");
}

#[tokio::test]
async fn a_path_that_an_inner_middleware_normalizes_has_its_route() {
    let span = server_span("GET", "/items/1/").await;
    assert_eq!(span.name, "GET /items/{id}");
    assert_eq!(attribute(&span, "http.route").unwrap(), "/items/{id}");
    assert_eq!(attribute(&span, "url.path").unwrap(), "/items/1/");
}

#[tokio::test]
async fn an_excluded_path_makes_no_spans_at_all() {
    for path in ["/health", "/health/ready"] {
        let (id, status) = send("GET", path).await;
        assert_eq!(status, Some(200));
        let (later, _) = send("GET", "/empty").await;
        only_span(later).await;
        assert!(lens().store().trace(&id).is_none(), "{path}");
    }
    let roots = lens().store().traces();
    let mut spans = roots.iter().flat_map(|trace| &trace.spans);
    assert!(!spans.any(|span| span.name == "check"));
    // A longer name is not below the path.
    let span = server_span("GET", "/healthy").await;
    assert_eq!(span.name, "GET");
}

#[tokio::test]
async fn a_malformed_trace_context_is_ignored() {
    let id = caller().trace_id;
    for header in [
        format!("00-{id}-b7ad6b7169203331"),
        format!("00-{id}-0000000000000000-01"),
        format!("ff-{id}-b7ad6b7169203331-01"),
        format!("00-{}-b7ad6b7169203331-01", "0".repeat(32)),
        "garbage".to_owned(),
    ] {
        let marker = caller().trace_id.to_string();
        let request = client()
            .get(format!("{}/items/{marker}", url()))
            .header("traceparent", &header);
        request.send().await.unwrap();
        let span = server_span_of(&marker).await;
        assert_eq!(span.parent_span_id, None, "{header}");
        assert_ne!(span.trace_id, id, "{header}");
    }
}

/// The span of the request for the item called `marker`, in any trace.
async fn server_span_of(marker: &str) -> Span {
    eventually("the span", || {
        let traces = lens().store().traces();
        let mut spans = traces.into_iter().flat_map(|trace| trace.spans);
        spans.find(|span| text(&span.attributes, "order.id").as_deref() == Some(marker))
    })
    .await
}

#[tokio::test]
async fn a_caller_can_be_linked_or_ignored_instead_of_trusted() {
    for (inbound, links) in [(Inbound::Link, 1), (Inbound::Ignore, 0)] {
        let base = app::start(inbound);
        let caller = caller();
        let marker = caller.trace_id.to_string();
        let request = client()
            .get(format!("{base}/items/{marker}"))
            .header("traceparent", &caller.traceparent);
        request.send().await.unwrap();
        let span = server_span_of(&marker).await;
        assert_eq!(span.parent_span_id, None);
        assert_ne!(span.trace_id, caller.trace_id);
        assert_eq!(span.links.len(), links);
        for link in &span.links {
            assert_eq!(link.trace_id, caller.trace_id);
        }
    }
}

#[tokio::test]
async fn a_log_record_belongs_to_the_requests_span() {
    let (id, _) = send("GET", "/items/9").await;
    let span = only_span(id).await;
    let record = logs(id, 1).await.remove(0);
    assert_eq!(record.body.to_string(), "item was read");
    assert_eq!(record.span_id, Some(span.span_id));
    assert_eq!(record.severity_text, "INFO");
}

#[tokio::test]
async fn a_statement_that_repeats_ten_times_in_one_request_is_suspected() {
    let (id, _) = send("GET", "/repeats/10").await;
    let span = span_of(id, "GET /repeats/{count}").await;
    assert_eq!(attribute(&span, "db.n_plus_one.suspected").unwrap(), "true");
    let record = logs(id, 1).await.remove(0);
    assert_eq!(
        record.body.to_string(),
        "`SELECT parcels` ran 10 times in one request"
    );
    assert_eq!(record.severity_text, "WARN");
    assert_eq!(record.span_id, Some(span.span_id));
    assert_eq!(
        text(&record.attributes, "db.query.summary").as_deref(),
        Some("SELECT parcels")
    );
    assert!(text(&record.attributes, "db.query.text").is_some());

    let (id, _) = send("GET", "/repeats/9").await;
    let span = span_of(id, "GET /repeats/{count}").await;
    assert_eq!(attribute(&span, "db.n_plus_one.suspected"), None);
}

#[tokio::test]
async fn baggage_is_accepted_only_from_a_trusted_caller() {
    for (inbound, taken) in [
        (Inbound::Parent, "customer=joe"),
        (Inbound::Link, ""),
        (Inbound::Ignore, ""),
    ] {
        let base = app::start(inbound);
        for traceparent in [caller().traceparent.as_str(), "garbage"] {
            let request = client()
                .get(format!("{base}/baggage"))
                .header("traceparent", traceparent)
                .header("baggage", "customer=joe");
            let inside = request.send().await.unwrap().text().await.unwrap();
            assert_eq!(inside, taken, "{inbound:?} {traceparent}");
        }
    }
}

#[tokio::test]
async fn an_attribute_from_a_caller_is_at_most_two_kib() {
    let caller = caller();
    let long = |text: &str| text.repeat((20 << 10) / text.len());
    let path = format!("/items/{}", long("a"));
    let query = format!("token={}&q={}&e=joe@example.com", long("t"), "b".repeat(2_020));
    let agent = format!("{} joe@example.com", "c".repeat(2_040));
    let request = client()
        .get(format!("{}{path}?{query}", url()))
        .header("traceparent", &caller.traceparent)
        .header("tracestate", format!("vendor={}", "d".repeat(600)))
        .header("user-agent", agent);
    assert_eq!(request.send().await.unwrap().status(), 200);
    let span = only_span(caller.trace_id).await;
    assert_eq!(attribute(&span, "url.path").unwrap(), path[..2_048]);
    let query = attribute(&span, "url.query").unwrap();
    assert!(query.starts_with("token=REDACTED&q=bbb"), "{query}");
    // The addresses are masked even where the cut is within one.
    assert!(query.ends_with("b&e=[email]"), "{query}");
    let agent = attribute(&span, "user_agent.original").unwrap();
    assert!(agent.ends_with("c [email]"), "{agent}");
    assert_eq!(span.trace_state, "");
}

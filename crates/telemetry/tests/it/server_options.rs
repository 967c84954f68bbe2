//! What the server middleware does on request.

use actix_web::dev::ServiceRequest;
use lens::{PointValue, Span};
use opentelemetry::KeyValue;
use throughline_telemetry::http::server::Tracing;

use crate::app;
use crate::support::{
    attribute, caller, eventually, is_child_of_caller, lens, logs, only_span, point, span_of,
};

/// Sends a request with these headers to the service. Returns its span and its response.
async fn get(url: &str, path: &str, headers: &[(&str, &str)]) -> (Span, reqwest::Response) {
    let caller = caller();
    let request = reqwest::Client::new().get(format!("{url}{path}"));
    let request = request.header("traceparent", &caller.traceparent);
    let request = headers
        .iter()
        .fold(request, |it, (name, value)| it.header(*name, *value));
    let response = request.send().await.unwrap();
    (only_span(caller.trace_id).await, response)
}

#[tokio::test]
async fn a_service_can_exclude_name_and_describe_requests() {
    let tracing = Tracing::new()
        .exclude_if(|request| request.headers().contains_key("x-probe"))
        .span_name(|request| (request.path() == "/empty").then(|| "nothing".into()))
        .on_request(|request| vec![KeyValue::new("parcel.path", request.path().len().to_string())])
        .on_response(|head| {
            let route = head.request.match_pattern().unwrap_or_default();
            vec![KeyValue::new(
                "parcel.note",
                format!("{route} {}", head.status.as_u16()),
            )]
        });
    let url = app::serve(tracing);
    let (span, _) = get(&url, "/items/7", &[]).await;
    assert_eq!(span.name, "GET /items/{id}");
    assert_eq!(attribute(&span, "parcel.path").unwrap(), "8");
    assert_eq!(attribute(&span, "parcel.note").unwrap(), "/items/{id} 200");
    let (span, _) = get(&url, "/empty", &[]).await;
    assert_eq!(span.name, "nothing");
    assert_eq!(attribute(&span, "http.route").unwrap(), "/empty");
    // Without a route until an inner middleware has changed the path.
    let (span, _) = get(&url, "/empty/", &[]).await;
    assert_eq!(span.name, "GET /empty");

    let excluded = caller();
    let request = reqwest::Client::new().get(format!("{url}/items/7"));
    let request = request
        .header("traceparent", &excluded.traceparent)
        .header("x-probe", "1");
    assert_eq!(request.send().await.unwrap().status(), 200);
    get(&url, "/items/7", &[]).await;
    let trace = lens().store().trace(&excluded.trace_id);
    assert!(trace.is_none_or(|trace| trace.spans.is_empty()));
}

#[tokio::test]
async fn only_allowed_headers_are_recorded_and_never_credentials() {
    let tracing = Tracing::new()
        .capture_request_headers(["X-Parcel-Kind", "authorization", "x-missing", "no header"])
        .capture_response_headers(["content-type"]);
    let url = app::serve(tracing);
    let headers = [
        ("x-parcel-kind", "fragile"),
        ("x-parcel-kind", "of joe@example.com"),
        ("x-other", "heavy"),
        ("authorization", "Bearer hunter2"),
    ];
    let (span, _) = get(&url, "/items/7", &headers).await;
    let shown = |name: &str| attribute(&span, name);
    let kinds = shown("http.request.header.x-parcel-kind").unwrap();
    assert!(kinds.contains("fragile") && kinds.contains("[email]"), "{kinds}");
    let credentials = shown("http.request.header.authorization").unwrap();
    assert!(!credentials.contains("hunter2"), "{credentials}");
    let kind = shown("http.response.header.content-type").unwrap();
    assert!(kind.contains("text/plain"), "{kind}");
    for absent in ["http.request.header.x-missing", "http.request.header.x-other"] {
        assert_eq!(shown(absent), None);
    }
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client() {
    let header = [("x-forwarded-for", "198.51.100.7")];
    for (proxies, client) in [("127.0.0.0/8", "198.51.100.7"), ("10.0.0.0/8", "127.0.0.1")] {
        let tracing = Tracing::new().trusted_proxies(proxies.parse().unwrap());
        let (span, _) = get(&app::serve(tracing), "/empty", &header).await;
        assert_eq!(attribute(&span, "client.address").unwrap(), client);
        assert_eq!(attribute(&span, "network.peer.address").unwrap(), "127.0.0.1");
    }
}

#[tokio::test]
async fn a_response_names_its_request_and_its_span() {
    let url = app::serve(Tracing::new().request_id().trace_response());
    for (sent, expected) in [(Some("parcel-7"), "parcel-7"), (Some("not usable"), "")] {
        let headers: Vec<_> = sent.iter().map(|id| ("x-request-id", *id)).collect();
        let (span, response) = get(&url, "/items/7", &headers).await;
        let header = |name: &str| response.headers()[name].to_str().unwrap();
        let trace_id = span.trace_id.to_string();
        let expected = if expected.is_empty() { &trace_id } else { expected };
        assert_eq!(header("x-request-id"), expected);
        assert_eq!(
            header("traceresponse"),
            format!("00-{trace_id}-{}-01", span.span_id)
        );
        assert_eq!(attribute(&span, "http.request.id").unwrap(), expected);
        assert!(is_child_of_caller(&span));
        let record = logs(span.trace_id, 1).await.remove(0);
        let id = crate::support::text(&record.attributes, "http.request.id");
        assert_eq!(id.as_deref(), Some(expected));
    }
}

#[tokio::test]
async fn a_handler_reaches_its_requests_span_and_metrics_have_attributes_of_the_service() {
    let kind = |request: &ServiceRequest| request.headers().get("x-kind")?.to_str().ok().map(str::to_owned);
    let tracing = Tracing::new().server_span().metric_attributes(move |request| {
        kind(request)
            .map(|kind| KeyValue::new("parcel.kind", kind))
            .into_iter()
            .collect()
    });
    let url = app::serve(tracing);
    let caller = caller();
    let request = reqwest::Client::new().get(format!("{url}/server-span"));
    let request = request
        .header("traceparent", &caller.traceparent)
        .header("x-kind", "fragile");
    request.send().await.unwrap();
    let span = span_of(caller.trace_id, "GET /server-span").await;
    assert_eq!(attribute(&span, "parcel.id").unwrap(), "7");
    assert_eq!(attribute(&span, "parcel.kind").unwrap(), "fragile");
    let series = [("http.route", "/server-span"), ("parcel.kind", "fragile")];
    point("http.server.request.duration", &series).await;
}

#[tokio::test]
async fn an_error_of_a_handler_is_logged_in_its_requests_span() {
    let url = app::serve(Tracing::new().log_errors());
    let (span, _) = get(&url, "/broken", &[]).await;
    let record = logs(span.trace_id, 1).await.remove(0);
    assert_eq!(record.span_id, Some(span.span_id));
    let message = crate::support::text(&record.attributes, "exception.message");
    assert_eq!(message.as_deref(), Some("no"));
    let (span, _) = get(&url, "/bad", &[]).await;
    assert!(lens().store().logs_of(&span.trace_id).is_empty());
}

#[tokio::test]
async fn requests_are_active_until_they_end_or_their_client_is_gone() {
    let url = app::serve(Tracing::new().active_requests());
    let series = [("http.request.method", "GET"), ("url.scheme", "http")];
    let active = async |count: i64| {
        eventually("the number of active requests", || {
            let metrics = lens().store().metrics();
            let metric = metrics
                .into_iter()
                .find(|it| it.name == "http.server.active_requests")?;
            let is_count = metric.points.last()?.value == PointValue::Int { value: count };
            is_count.then_some(())
        })
        .await;
    };
    let never = tokio::spawn(reqwest::get(format!("{url}/never")));
    active(1).await;
    never.abort();
    active(0).await;
    let (metric, _) = point("http.server.active_requests", &series).await;
    assert_eq!(metric.unit, "{request}");
}

#[tokio::test]
async fn bodies_are_measured_by_what_was_sent() {
    let url = app::serve(Tracing::new().body_sizes());
    let caller = caller();
    let request = reqwest::Client::new()
        .post(format!("{url}/stream"))
        .body("parcel");
    let request = request.header("traceparent", &caller.traceparent);
    request.send().await.unwrap();
    let span = only_span(caller.trace_id).await;
    assert_eq!(attribute(&span, "http.request.body.size").unwrap(), "6");
    for (path, size) in [("/items/7", "7"), ("/stream", "3"), ("/not-modified", "0")] {
        let caller = crate::support::caller();
        let request = reqwest::Client::new().get(format!("{url}{path}"));
        let request = request.header("traceparent", &caller.traceparent);
        request.send().await.unwrap().bytes().await.unwrap();
        let span = span_of(caller.trace_id, &format!("GET {}", path.replace('7', "{id}"))).await;
        assert_eq!(
            attribute(&span, "http.response.body.size").unwrap(),
            size,
            "{path}"
        );
        assert_eq!(attribute(&span, "http.request.body.size"), None);
    }
    let series = [
        ("http.route", "/items/{id}"),
        ("http.response.status_code", "200"),
    ];
    let (metric, _) = point("http.server.response.body.size", &series).await;
    assert_eq!(metric.unit, "By");
    point(
        "http.server.request.body.size",
        &[("http.request.method", "POST")],
    )
    .await;
}

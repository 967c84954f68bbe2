//! Spans of `tracing` and spans of OpenTelemetry are one tree.

use throughline_telemetry::http::server::Inbound;

use crate::app;
use crate::support::{caller, is_child, logs, span_of, trace};

async fn get(path: &str) -> lens::TraceId {
    let url = app::start(Inbound::Parent);
    let caller = caller();
    let request = reqwest::Client::new()
        .get(format!("{url}{path}"))
        .header("traceparent", &caller.traceparent);
    request.send().await.unwrap();
    caller.trace_id
}

#[tokio::test]
async fn tracing_and_opentelemetry_spans_nest_in_both_directions() {
    let id = get("/nested").await;
    let server = span_of(id, "GET /nested").await;
    let outer = span_of(id, "outer").await;
    let statement = span_of(id, "SELECT parcels").await;
    let inner = span_of(id, "inner").await;
    assert!(is_child(&outer, &server));
    assert!(is_child(&statement, &outer));
    assert!(is_child(&inner, &statement));
    assert_eq!(trace(id, 4).await.spans.len(), 4);
    let record = logs(id, 1).await.remove(0);
    assert_eq!(record.span_id, Some(inner.span_id));
}

#[tokio::test]
async fn a_spawned_task_that_is_instrumented_stays_in_the_tree() {
    let id = get("/spawned").await;
    let server = span_of(id, "GET /spawned").await;
    let task = span_of(id, "task").await;
    let statement = span_of(id, "SELECT parcels").await;
    assert!(is_child(&task, &server));
    assert!(is_child(&statement, &task));
}

#[tokio::test]
async fn a_services_own_span_has_only_its_fields() {
    let id = get("/nested").await;
    let outer = span_of(id, "outer").await;
    assert_eq!(outer.attributes.len(), 0, "{}", outer.attributes);
    assert!(outer.events.is_empty());
}

//! Spans of `tracing` and spans of OpenTelemetry are one tree.

use lens::{SpanKind, Status};
use throughline_telemetry::http::server::Inbound;
use throughline_telemetry::{span, template};

use crate::app;
use crate::support::{attribute, caller, is_child, logs, span_of, trace};

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

#[tokio::test]
async fn a_template_has_a_span_with_its_name() {
    let _ = crate::support::lens();
    let test = tracing::info_span!("test");
    let id = test.in_scope(|| {
        let page = template::render("parcel.html", || {
            tracing::info_span!("inner").in_scope(|| Ok::<_, &str>("<p>"))
        });
        assert_eq!(page, Ok("<p>"));
        template::render("lost.html", || Err::<(), _>("no template")).unwrap_err();
        span::current_trace_id().unwrap()
    });
    let id = id.parse().unwrap();
    drop(test);
    let page = span_of(id, "render parcel.html").await;
    assert!(is_child(&span_of(id, "inner").await, &page));
    assert_eq!((page.kind, page.status), (SpanKind::Internal, Status::Unset));
    let lost = span_of(id, "render lost.html").await;
    assert_eq!(attribute(&lost, "error.type").unwrap(), "template");
}

//! Text of senders is text on every page.

use serde_json::{Value, json};

use super::sender::{Desk, attributes, span_id, trace_id};
use crate::operator::Operator;

/// It closes attributes, elements, comments and templates, and runs in each of them.
const CANARY: &str = r#"canary'"></title></script></svg>--><script>window.canary=1</script><img src=x onerror=window.canary=2>{{7*7}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_a_sender_runs_as_a_script() {
    let desk = Desk::open().await;
    send_canaries(&desk).await;
    let developer = &desk.developer;
    let address = |value: &str| url::form_urlencoded::byte_serialize(value.as_bytes()).collect::<String>();
    let (a, b, canary) = (trace_id(1), trace_id(2), address(CANARY));
    for page in [
        "/".to_owned(),
        format!("/traces/{a}"),
        format!("/traces/{a}?span={canary}"),
        format!("/traces/{a}.txt"),
        format!("/compare?a={a}"),
        format!("/compare?a={a}&b={b}"),
        "/logs".to_owned(),
        format!("/logs?trace={a}"),
        "/metrics".to_owned(),
        format!("/metrics?name={canary}"),
        "/map".to_owned(),
        format!("/?q={canary}"),
        format!("/?service={canary}"),
        format!("/logs?q={canary}&service={canary}"),
    ] {
        developer.opens(&page).await;
        has_no_canary(developer, &page).await;
    }
    // Live parts are parsed by the script of the page.
    developer.opens("/logs").await;
    developer.sees("live").await;
    send_canaries(&desk).await;
    developer.sees("<script>window.canary=1</script>").await;
    developer
        .finds(
            "the records of both times",
            "return document.querySelectorAll('#log-table tbody tr').length === 2 || null",
        )
        .await;
    has_no_canary(developer, "/logs").await;
    desk.developer.leaves().await;
}

async fn has_no_canary(developer: &Operator, page: &str) {
    let canary = developer.runs("return window.canary ?? null").await;
    assert_eq!(canary, json!(null), "on {page}");
    let foreign = "return document.querySelectorAll('script:not([src^=\"/assets/\"]), img:not([src^=\"/assets/\"])').length";
    assert_eq!(developer.runs(foreign).await, 0, "on {page}");
}

/// A canary in every text of OTLP.
async fn send_canaries(desk: &Desk) {
    let values = attributes(&[
        (CANARY, json!(CANARY)),
        ("order.id", json!(CANARY)),
        ("error.type", json!(CANARY)),
    ]);
    let span = |trace, id, parent: Value, kind| {
        json!({
            "traceId": trace_id(trace),
            "spanId": span_id(id),
            "parentSpanId": parent,
            "traceState": CANARY,
            "name": CANARY,
            "kind": kind,
            "startTimeUnixNano": desk.time(0),
            "endTimeUnixNano": desk.time(9),
            "attributes": attributes(&[
                (CANARY, json!(CANARY)), ("order.id", json!(CANARY)), ("error.type", json!(CANARY)),
                ("db.system.name", json!(if kind == 3 { CANARY } else { "" })),
                ("server.address", json!(CANARY)), ("messaging.system", json!(CANARY)),
            ]),
            "status": { "code": 2, "message": CANARY },
            "events": [{ "timeUnixNano": desk.time(1), "name": CANARY, "attributes": values }],
            "links": [{ "traceId": trace_id(9), "spanId": span_id(9), "traceState": CANARY, "attributes": values }],
        })
    };
    for trace in [1, 2] {
        let spans = [
            span(trace, 1, json!(""), 2),
            span(trace, 2, json!(span_id(1)), 3),
            span(trace, 3, json!(span_id(1)), 4),
        ];
        desk.export(CANARY, "traces", json!({ "spans": spans })).await;
    }
    let record = json!({
        "timeUnixNano": desk.time(1), "severityNumber": 17, "severityText": CANARY, "eventName": CANARY,
        "body": { "stringValue": CANARY }, "attributes": values, "traceId": trace_id(1), "spanId": span_id(1),
    });
    desk.export(CANARY, "logs", json!({ "logRecords": [record] }))
        .await;
    let point = json!({ "attributes": values, "startTimeUnixNano": desk.time(0), "timeUnixNano": desk.time(1), "asInt": "1" });
    let sum = json!({ "aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [point] });
    let metric = json!({ "name": CANARY, "description": CANARY, "unit": CANARY, "sum": sum });
    desk.metrics(CANARY, vec![metric]).await;
}

//! One order, one unbroken trace, asserted from what the services exported over OTLP.

use lens::{Span, SpanKind, Trace};
use serde_json::json;
use testkit::Service;

use crate::shop::Shop;

/// `<tree> <KIND> <service>` of every span, in the order of a waterfall.
fn drawn(trace: &Trace) -> Vec<String> {
    let row = |row: &lens::Row<'_>| {
        format!(
            "{}{} {} {}",
            row.branch,
            row.span.name,
            row.span.kind.as_str(),
            row.span.service
        )
    };
    trace.tree().rows().iter().map(row).collect()
}

/// The spans of an order's attempts, in their order.
fn attempts_of(trace: &Trace) -> Vec<&Span> {
    let consumers = |span: &&Span| span.kind == SpanKind::Consumer;
    let mut spans: Vec<_> = trace.spans.iter().filter(consumers).collect();
    spans.sort_by_key(|span| span.start_unix_nano);
    spans
}

fn links_to(span: &Span, other: &Span) -> bool {
    span.links.iter().any(|link| link.span_id == other.span_id)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_order_of_high_value_is_exactly_this_trace() {
    let shop = Shop::open().await;
    let id = shop
        .order(
            &json!({ "product_name": "Engine", "amount": "1500", "payment_method": "credit_card" }),
        )
        .await;
    let order = shop.settled(&id).await;
    let trace = shop
        .lens
        .trace_of_order(&id, |trace| trace.spans.len() >= 12)
        .await;

    assert_eq!(
        drawn(&trace),
        [
            "POST /api/orders SERVER throughline-api",
            "└─ create_order INTERNAL throughline-api",
            "   ├─ INSERT orders CLIENT throughline-api",
            "   └─ send orders PRODUCER throughline-api",
            "      └─ process orders CONSUMER throughline-worker",
            "         ├─ UPDATE orders CLIENT throughline-worker",
            "         ├─ validate_high_value_order INTERNAL throughline-worker",
            "         ├─ process_payment INTERNAL throughline-worker",
            "         │  ├─ validate_payment_method INTERNAL throughline-worker",
            "         │  └─ POST CLIENT throughline-worker",
            "         │     └─ POST /v1/payment_intents SERVER throughline-gateway",
            "         └─ UPDATE orders CLIENT throughline-worker",
        ]
    );
    assert_eq!(
        trace.trace_id.to_string(),
        order["trace_id"].as_str().unwrap()
    );

    let of_kind = |kind| trace.spans.iter().find(|span| span.kind == kind).unwrap();
    let (send, process) = (of_kind(SpanKind::Producer), of_kind(SpanKind::Consumer));
    assert_eq!(process.parent_span_id, Some(send.span_id));
    assert_eq!(process.links.len(), 1);
    assert_eq!(process.links[0].span_id, send.span_id);
    assert!(trace.spans.iter().all(|span| !span.failed()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_stays_in_the_trace_and_links_to_the_attempt_before() {
    let shop = Shop::open().await;
    shop.gateway_faults(&json!({ "drop_after_charge_rate": 1.0 }))
        .await;
    let id = shop
        .order(&json!({ "product_name": "Widget", "amount": "5", "payment_method": "paypal" }))
        .await;
    let order = shop.settled(&id).await;
    let attempts = usize::try_from(order["attempt"].as_i64().unwrap()).unwrap();
    assert!(attempts >= 2);

    let trace = shop
        .lens
        .trace_of_order(&id, |trace| attempts_of(trace).len() >= attempts)
        .await;
    let (first, second) = (attempts_of(&trace)[0], attempts_of(&trace)[1]);
    assert!(first.failed());
    assert!(links_to(second, first));
    assert!(
        trace.tree().rows().iter().all(|row| !row.orphan),
        "every parent was exported"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_is_taken_up_again_stays_in_its_trace_and_links_to_its_last_attempt() {
    let shop = Shop::open_with(&[(Service::Worker, "ORDER_MAX_ATTEMPTS", "1")]).await;
    shop.gateway_faults(&json!({ "error_rate": 1.0 })).await;
    let id = shop
        .order(&json!({ "product_name": "Widget", "amount": "5", "payment_method": "paypal" }))
        .await;
    assert_eq!(shop.settled(&id).await["status"], "failed");

    shop.gateway_faults(&json!({ "error_rate": 0.0 })).await;
    let retry = format!("{}/api/orders/{id}/retry", shop.stack.url(Service::Api));
    let answer = shop.http.post(retry).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    assert_eq!(shop.settled(&id).await["status"], "completed");
    let trace = shop
        .lens
        .trace_of_order(&id, |trace| attempts_of(trace).len() >= 2)
        .await;
    let (first, second) = (attempts_of(&trace)[0], attempts_of(&trace)[1]);
    assert!(links_to(second, first));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_trace_is_continued() {
    let shop = Shop::open().await;
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let url = format!("{}/api/orders", shop.stack.url(Service::Api));
    let answer = shop
        .http
        .post(url)
        .header("traceparent", caller)
        .json(&crate::shop::widget())
        .send()
        .await
        .unwrap();
    let order: serde_json::Value = answer.json().await.unwrap();
    assert_eq!(order["trace_id"], "0af7651916cd43dd8448eb211c80319c");
}

//! One order, one unbroken trace, asserted from what the services exported over OTLP.

use lens::{SpanKind, Trace};
use serde_json::json;

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

    let consumers = |trace: &Trace| {
        let mut spans: Vec<_> = trace
            .spans
            .iter()
            .filter(|span| span.kind == SpanKind::Consumer)
            .cloned()
            .collect();
        spans.sort_by_key(|span| span.start_unix_nano);
        spans
    };
    let trace = shop
        .lens
        .trace_of_order(&id, |trace| consumers(trace).len() >= attempts)
        .await;
    let (first, second) = (&consumers(&trace)[0], &consumers(&trace)[1]);
    assert!(first.failed());
    assert!(
        second
            .links
            .iter()
            .any(|link| link.span_id == first.span_id)
    );
    assert!(
        trace.tree().rows().iter().all(|row| !row.orphan),
        "every parent was exported"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_trace_is_continued() {
    let shop = Shop::open().await;
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let url = format!("{}/api/orders", shop.stack.url(testkit::Service::Api));
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

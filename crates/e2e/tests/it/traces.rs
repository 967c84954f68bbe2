//! One order is one unbroken trace, asserted from the spans that the services exported over OTLP.

use lens::{Span, SpanId, SpanKind, Trace};
use serde_json::json;
use testkit::Service;

use crate::shop::{Shop, widget};

/// `<tree> <KIND> <service>` of every span, in the order of a waterfall.
fn drawn(trace: &Trace) -> Vec<String> {
    let row = |row: &lens::Row<'_>| {
        format!(
            "{}{} {} {}",
            row.branch,
            row.span.name,
            lens::kind_name(row.span.kind),
            row.span.service
        )
    };
    trace.tree().rows().iter().map(row).collect()
}

/// The spans of an order's attempts, by start time.
fn attempts_of(trace: &Trace) -> Vec<&Span> {
    let consumers = |span: &&Span| span.kind == SpanKind::Consumer;
    let mut spans: Vec<_> = trace.spans.iter().filter(consumers).collect();
    spans.sort_by_key(|span| span.start_unix_nano);
    spans
}

/// The spans that it links to: the sender of the job, then the attempt before.
fn linked_by(process: &Span) -> Vec<Option<SpanId>> {
    let links = process.links.iter();
    links.map(|link| Some(link.span_id)).collect()
}

/// `<span> <service>` of every span whose parent is missing.
fn orphans(trace: &Trace) -> Vec<String> {
    let tree = trace.tree();
    let orphans = tree.rows().iter().filter(|row| row.orphan);
    orphans
        .map(|row| format!("{} {}", row.span.name, row.span.service))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paid_order_of_high_value_is_exactly_this_trace() {
    let shop = Shop::open().await;
    let id = shop
        .order(&json!({ "product_name": "Engine", "amount": "1500", "payment_method": "credit_card" }))
        .await;
    let order = shop.final_order(&id).await;
    let trace = shop
        .lens
        .trace_of_order(&id, |trace| trace.spans.len() >= 15)
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
            "         │  ├─ POST CLIENT throughline-worker",
            "         │  │  └─ POST /v1/payment_intents SERVER throughline-gateway",
            "         │  ├─ UPDATE orders CLIENT throughline-worker",
            "         │  └─ POST CLIENT throughline-worker",
            "         │     └─ POST /v1/payment_intents/{id}/confirm SERVER throughline-gateway",
            "         └─ UPDATE orders CLIENT throughline-worker",
        ]
    );
    assert_eq!(trace.trace_id.to_string(), order["trace_id"].as_str().unwrap());

    let of_kind = |kind| trace.spans.iter().find(|span| span.kind == kind).unwrap();
    let (send, process) = (of_kind(SpanKind::Producer), of_kind(SpanKind::Consumer));
    assert_eq!(process.parent_span_id, Some(send.span_id));
    assert_eq!(process.links.len(), 1);
    assert_eq!(process.links[0].span_id, send.span_id);
    assert!(trace.spans.iter().all(|span| !span.failed()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redelivered_order_stays_in_its_trace_and_links_to_the_attempt_before() {
    let shop = Shop::open().await;
    shop.gateway_faults(&json!({ "drop_after_charge_rate": 1.0 }))
        .await;
    let id = shop
        .order(&json!({ "product_name": "Widget", "amount": "5", "payment_method": "paypal" }))
        .await;
    assert_eq!(shop.final_order(&id).await["attempt"], 2);
    let whole = |trace: &Trace| trace.spans.len() >= 22;
    let trace = shop.lens.trace_of_order(&id, whole).await;
    assert_eq!(
        drawn(&trace),
        [
            "POST /api/orders SERVER throughline-api",
            "└─ create_order INTERNAL throughline-api",
            "   ├─ INSERT orders CLIENT throughline-api",
            "   ├─ send orders PRODUCER throughline-api",
            "   │  └─ process orders CONSUMER throughline-worker",
            "   │     ├─ UPDATE orders CLIENT throughline-worker",
            "   │     ├─ process_payment INTERNAL throughline-worker",
            "   │     │  ├─ validate_payment_method INTERNAL throughline-worker",
            "   │     │  ├─ POST CLIENT throughline-worker",
            "   │     │  │  └─ POST /v1/payment_intents SERVER throughline-gateway",
            "   │     │  ├─ UPDATE orders CLIENT throughline-worker",
            "   │     │  └─ POST CLIENT throughline-worker",
            "   │     │     └─ POST /v1/payment_intents/{id}/confirm SERVER throughline-gateway",
            "   │     └─ UPDATE orders CLIENT throughline-worker",
            "   └─ send orders PRODUCER throughline-worker",
            "      └─ process orders CONSUMER throughline-worker",
            "         ├─ UPDATE orders CLIENT throughline-worker",
            "         ├─ process_payment INTERNAL throughline-worker",
            "         │  ├─ validate_payment_method INTERNAL throughline-worker",
            "         │  └─ GET CLIENT throughline-worker",
            "         │     └─ GET /v1/payment_intents/{id} SERVER throughline-gateway",
            "         └─ UPDATE orders CLIENT throughline-worker",
        ]
    );
    let (first, second) = (attempts_of(&trace)[0], attempts_of(&trace)[1]);
    assert!(first.failed());
    assert_eq!(linked_by(second), [second.parent_span_id, Some(first.span_id)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_order_stays_in_its_trace_and_links_to_its_last_attempt() {
    let shop = Shop::open().await;
    let id = shop
        .order(&json!({
            "product_name": "Widget",
            "amount": "5",
            "payment_method": "credit_card",
            "payment_token": "pm_card_chargeDeclined",
        }))
        .await;
    assert_eq!(shop.final_order(&id).await["status"], "failed");

    let retry = format!("{}/api/orders/{id}/retry", shop.stack.url(Service::Api));
    let response = shop.http.post(retry).send().await.unwrap();
    assert_eq!(response.status(), 202);
    let retried = shop.final_order(&id).await;
    assert_eq!(
        (&retried["status"], &retried["attempt"]),
        (&json!("failed"), &json!(2))
    );
    let trace = shop
        .lens
        .trace_of_order(&id, |trace| {
            attempts_of(trace).len() >= 2 && orphans(trace).is_empty()
        })
        .await;
    let (first, second) = (attempts_of(&trace)[0], attempts_of(&trace)[1]);
    assert_eq!(linked_by(second), [second.parent_span_id, Some(first.span_id)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_job_redis_lost_stays_in_its_trace() {
    let mut shop = Shop::open().await;
    shop.stack.stop(Service::Worker).await.unwrap();
    let id = shop.order(&widget()).await;
    let mut redis = shop.redis.connect().await.unwrap();
    let forget = redis::cmd("FLUSHALL");
    let _: () = forget.query_async(&mut redis).await.unwrap();
    shop.stack.restart(Service::Worker).await.unwrap();
    assert_eq!(shop.final_order(&id).await["status"], "completed");

    let whole = |trace: &Trace| trace.spans.len() >= 8;
    let trace = shop.lens.trace_of_order(&id, whole).await;
    assert_eq!(
        drawn(&trace),
        [
            "POST /api/orders SERVER throughline-api",
            "└─ create_order INTERNAL throughline-api",
            "   ├─ INSERT orders CLIENT throughline-api",
            "   ├─ send orders PRODUCER throughline-api",
            "   └─ send orders PRODUCER throughline-worker",
            "      └─ process orders CONSUMER throughline-worker",
            "         ├─ UPDATE orders CLIENT throughline-worker",
            "         └─ UPDATE orders CLIENT throughline-worker",
        ]
    );
    let process = attempts_of(&trace)[0];
    assert_eq!(linked_by(process), [process.parent_span_id]);
}

/// A killed worker loses the spans that it has not exported, also the process span: the other spans of that
/// attempt have no parent. The next attempt is complete, and links to the one that was killed.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_worker_is_killed_stays_in_its_trace_and_links_to_the_killed_attempt() {
    let mut shop = Shop::open_with(&[(Service::Worker, "ORDER_LEASE", "5s")]).await;
    shop.gateway_faults(&json!({ "hang_rate": 1.0 })).await;
    let id = shop
        .order(&json!({ "product_name": "Widget", "amount": "5", "payment_method": "paypal" }))
        .await;
    let claim = |trace: &Trace| {
        let mut spans = trace.spans.iter();
        let claim = spans.find(|span| span.name == "UPDATE orders");
        claim.and_then(|claim| claim.parent_span_id)
    };
    let claimed = |trace: &Trace| claim(trace).is_some();
    let killed = claim(&shop.lens.trace_of_order(&id, claimed).await);
    shop.stack.kill(Service::Worker).await.unwrap();
    shop.gateway_faults(&json!({})).await;
    shop.stack.restart(Service::Worker).await.unwrap();
    assert_eq!(shop.final_order(&id).await["attempt"], 2);

    const LOST_PARENT: [&str; 3] = [
        "UPDATE orders throughline-worker",
        "validate_payment_method throughline-worker",
        "POST /v1/payment_intents throughline-gateway",
    ];
    let sender = |trace: &Trace| {
        let parent = attempts_of(trace).first()?.parent_span_id;
        trace
            .spans
            .iter()
            .find(|span| Some(span.span_id) == parent)
            .cloned()
    };
    let done = |trace: &Trace| {
        sender(trace).is_some() && orphans(trace).iter().all(|it| LOST_PARENT.contains(&&**it))
    };
    let trace = shop.lens.trace_of_order(&id, done).await;
    let [second] = attempts_of(&trace)[..] else {
        panic!("the first attempt's span cannot have been exported");
    };
    assert_eq!(linked_by(second), [second.parent_span_id, killed]);
    let send = sender(&trace).unwrap();
    assert_eq!(send.attributes.get_str("queue.reason"), Some("lease_expired"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callers_trace_is_continued() {
    let shop = Shop::open().await;
    let caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let url = format!("{}/api/orders", shop.stack.url(Service::Api));
    let response = shop
        .http
        .post(url)
        .header("traceparent", caller)
        .json(&widget())
        .send()
        .await
        .unwrap();
    let order: serde_json::Value = response.json().await.unwrap();
    assert_eq!(order["trace_id"], "0af7651916cd43dd8448eb211c80319c");
}

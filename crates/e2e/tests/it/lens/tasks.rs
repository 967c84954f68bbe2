//! Questions that a developer who has never seen lens answers with its pages alone, about the real services.

use serde_json::{Value, json};

use crate::operator::Operator;
use crate::shop::Shop;

fn paid() -> Value {
    json!({ "product_name": "Engine", "amount": "1500", "payment_method": "credit_card" })
}

/// The final order, and a developer at the lens that has its whole trace.
async fn at_lens(shop: &Shop, body: &Value) -> (String, Operator) {
    let id = shop.order(body).await;
    shop.final_order(&id).await;
    shop.lens
        .trace_of_order(&id, |trace| trace.spans.len() >= 12)
        .await;
    (id, Operator::at(&shop.lens.page_url()).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn why_was_this_order_slow() {
    let shop = Shop::open().await;
    shop.gateway_faults(&json!({ "latency_ms": 700 })).await;
    let (order, developer) = at_lens(&shop, &paid()).await;
    developer.opens("/").await;
    // Each look at the order is a trace of its own.
    developer.searches(&format!("{order} duration>1s")).await;
    developer
        .clicks_at("//*[@id='trace-table']//a[.='POST /api/orders']")
        .await;
    developer.sees("waited for throughline-gateway").await;
    // The two requests of a payment, and a link to each.
    developer
        .sees("Waited longest for POST /v1/payment_intents")
        .await;
    developer
        .clicks_at("//*[@id='time']//a[starts-with(., 'POST /v1/payment_intents')]")
        .await;
    developer.sees("A request to throughline-gateway").await;
    developer.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_in_the_last_five_minutes() {
    let shop = Shop::open().await;
    let mut declined = paid();
    declined["payment_token"] = json!("pm_card_chargeDeclined");
    let (order, developer) = at_lens(&shop, &declined).await;
    developer.opens("/").await;
    developer
        .runs("document.getElementById('last').value = '5m'")
        .await;
    developer.clicks("with errors only").await;
    developer.clicks("Filter").await;
    developer.sees("the last 5 minutes").await;
    developer
        .clicks_at("//*[@id='trace-table']//a[.='POST /api/orders']")
        .await;
    developer.sees(&order).await;
    developer.types("e").await;
    // The gateway responds 402 to the confirmation of a payment that the bank declines.
    developer.sees("failed: 402").await;
    developer.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn which_service_is_the_cause() {
    let shop = Shop::open().await;
    shop.gateway_faults(&json!({ "error_after_charge_rate": 1.0 }))
        .await;
    let id = shop.order(&paid()).await;
    let failed = |trace: &lens::Trace| {
        trace.errors() > 0
            && trace
                .spans
                .iter()
                .any(|span| span.service == "throughline-gateway")
    };
    shop.lens.trace_of_order(&id, failed).await;
    let developer = Operator::at(&shop.lens.page_url()).await;
    developer.opens("/map").await;
    // The calls of the worker to the gateway have errors, and those to the databases do not.
    let class = |to: &str| {
        format!(
            "return [...document.querySelectorAll('#calls tbody tr')].find(row =>
                row.cells[0].innerText === 'throughline-worker' && row.cells[1].innerText.startsWith('{to}'))?.className || null"
        )
    };
    developer
        .finds("calls of the gateway that failed", &class("throughline-gateway"))
        .await;
    developer.sees("PostgreSQL").await;
    assert_eq!(developer.runs(&class("PostgreSQL")).await, Value::Null);
    developer
        .clicks_at("//*[@id='calls']//tr[contains(@class, 'failed')]//a[contains(., 'traces')]")
        .await;
    developer.sees("POST /api/orders").await;
    developer.leaves().await;
}

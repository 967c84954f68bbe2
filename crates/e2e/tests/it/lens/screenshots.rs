//! The pictures of lens. `cargo xtask screenshots` runs this.

use serde_json::{Value, json};
use testkit::{Service, eventually};

use crate::operator::{DESK, DESK_AT_NIGHT, Operator, PHONE};
use crate::shop::{Shop, TIMEOUT};

/// Enough for charts with a shape.
const ORDERS: usize = 240;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "cargo xtask screenshots runs it"]
async fn pictures_of_the_documents() {
    let shop = Shop::open_with(&[(Service::Worker, "WORKER_CONCURRENCY", "16")]).await;
    let fast = final_order(&shop, &paid()).await;
    for number in 0..ORDERS {
        if number == ORDERS / 2 {
            shop.gateway_faults(&json!({ "latency_ms": 40 })).await;
        }
        let mut order = paid();
        if number % 9 == 0 {
            order["payment_token"] = json!("pm_card_chargeDeclined");
        }
        shop.order(&order).await;
    }
    let slow = final_order(&shop, &paid()).await;
    let developer = Operator::at(&shop.lens.page_url()).await;
    developer.pictures("lens", DESK, "/").await;
    developer.pictures("lens-phone", PHONE, "/").await;
    developer
        .pictures("lens-trace", DESK, &format!("/traces/{slow}"))
        .await;
    developer
        .pictures("lens-trace-dark", DESK_AT_NIGHT, &format!("/traces/{slow}"))
        .await;
    developer
        .pictures("lens-compare", DESK, &format!("/compare?a={fast}&b={slow}"))
        .await;
    developer.pictures("lens-map", DESK, "/map").await;
    developer.pictures("lens-logs", DESK, "/logs").await;
    // The services export their metrics every two seconds.
    eventually("a metric of the api", TIMEOUT, || async {
        developer
            .opens("/metrics?name=http.server.request.duration&last=1m&a.service=throughline-api")
            .await;
        developer.text().await.contains("Heat map").then_some(())
    })
    .await;
    developer
        .pictures(
            "lens-metric",
            DESK,
            "/metrics?name=http.server.request.duration&last=1m&a.service=throughline-api",
        )
        .await;
    developer.leaves().await;
}

fn paid() -> Value {
    json!({ "product_name": "Engine", "amount": "1500", "payment_method": "credit_card" })
}

/// The trace of an order that is complete.
async fn final_order(shop: &Shop, body: &Value) -> String {
    let id = shop.order(body).await;
    shop.final_order(&id).await;
    let trace = shop
        .lens
        .trace_of_order(&id, |trace| trace.spans.len() >= 15)
        .await;
    trace.trace_id.to_string()
}

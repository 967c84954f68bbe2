//! The pictures of the console. `cargo xtask screenshots` runs this.

use serde_json::json;
use testkit::Service;

use super::{operator, seed};
use crate::operator::{DESK, DESK_AT_NIGHT, Operator, PHONE};
use crate::shop::Shop;

/// Orders that failed in the outage.
const OUTAGE: i32 = 2_400;

/// A day of a shop with 40,000 orders; the gateway was unavailable an hour ago.
const DAY: &str = include_str!("day.sql");

#[tokio::test(flavor = "multi_thread")]
#[ignore = "cargo xtask screenshots runs it"]
async fn pictures_of_the_documents() {
    let shop = Shop::open_with(&[(Service::Worker, "WORKER_CONCURRENCY", "64")]).await;
    let sql = shop.database.connect().await.unwrap();
    shop.gateway_faults(&json!({ "latency_ms": 40 })).await;
    let operator = operator(&shop).await;
    seed::charged(&shop).await;
    seed::outage(&shop.database, OUTAGE).await;
    sql.batch_execute(DAY).await.unwrap();
    operator.opens("/").await;
    operator.no_longer_sees("Gateway unknown").await;
    operator.pictures("overview", DESK, "/").await;
    operator
        .pictures("overview-dark", DESK_AT_NIGHT, "/?range=24h")
        .await;
    operator.pictures("overview-phone", PHONE, "/").await;

    // These have traces, and histories of this version.
    let completed = seed::charged(&shop).await;
    let completed = seed::text(&completed, "id");
    let failed = seed::declined(&shop).await;
    operator.pictures("orders", DESK, "/orders?status=failed").await;
    operator
        .pictures("order", DESK, &format!("/orders/{completed}"))
        .await;
    operator
        .pictures(
            "order-failed",
            DESK,
            &format!("/orders/{}", seed::text(&failed, "id")),
        )
        .await;
    operator.pictures("failures", DESK, "/failures").await;
    operator.pictures("queue", DESK, "/queue").await;
    retries_the_outage(&operator).await;
    operator.pictures("operation", DESK, &operator.path().await).await;
    operator.pictures("operations", DESK, "/operations").await;
    operator.leaves().await;
}

/// Begins the operation, and waits until it has retried a part of the orders.
async fn retries_the_outage(operator: &Operator) {
    const PART: &str =
        "const done = document.querySelector('[data-testid=done]')?.innerText.replace(',', '');
        return Number(done) >= 800 || null";
    operator.opens("/failures").await;
    operator
        .clicks_at("//main//a[contains(@href, 'failure_code=payment_deadline') and contains(@href, 'retry')]")
        .await;
    operator.confirms("Retry").await;
    operator.finds("a part of the orders", PART).await;
}

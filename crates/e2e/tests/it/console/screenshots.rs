//! The pictures of the documents. `cargo xtask screenshots` runs this.

use std::fs;

use serde_json::json;
use testkit::{Screen, Service, workspace};

use super::operator::{DESK, DESK_AT_NIGHT, Operator, PHONE};
use super::{operator, seed};
use crate::shop::Shop;

/// GitHub shows larger ones slowly.
const MAX_BYTES: usize = 200_000;

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
    take(&operator, "overview", DESK, "/").await;
    take(&operator, "overview-dark", DESK_AT_NIGHT, "/?range=24h").await;
    take(&operator, "overview-phone", PHONE, "/").await;

    // These have traces, and histories of this version.
    let completed = seed::charged(&shop).await;
    let completed = seed::text(&completed, "id");
    let failed = seed::declined(&shop).await;
    take(&operator, "orders", DESK, "/orders?status=failed").await;
    take(&operator, "order", DESK, &format!("/orders/{completed}")).await;
    take(
        &operator,
        "order-failed",
        DESK,
        &format!("/orders/{}", seed::text(&failed, "id")),
    )
    .await;
    take(&operator, "failures", DESK, "/failures").await;
    take(&operator, "queue", DESK, "/queue").await;
    retries_the_outage(&operator).await;
    take(&operator, "operation", DESK, &operator.path().await).await;
    take(&operator, "operations", DESK, "/operations").await;
    operator.leaves().await;

    let lens = Operator::at(&shop.lens.page_url()).await;
    take(&lens, "lens", DESK, "/").await;
    let trace = "SELECT split_part(trace_context->>'traceparent', '-', 2) FROM orders WHERE id::text = $1";
    let trace: String = sql.query_one(trace, &[&completed]).await.unwrap().get(0);
    take(&lens, "lens-trace", DESK, &format!("/traces/{trace}")).await;
    lens.leaves().await;
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

/// Writes `docs/pictures/NAME.png`, once the page is complete.
async fn take(operator: &Operator, name: &str, screen: Screen, path: &str) {
    operator.uses(screen).await;
    operator.opens(path).await;
    operator.runs_two_frames().await;
    let picture = operator.screenshot().await;
    assert!(picture.len() < MAX_BYTES, "{name} has {} bytes", picture.len());
    let folder = workspace().join("docs/pictures");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{name}.png")), picture).unwrap();
    println!("docs/pictures/{name}.png");
}

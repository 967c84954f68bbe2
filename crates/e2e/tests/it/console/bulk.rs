//! Many orders at once: preview, progress, and who did it.

use super::operator;
use super::seed::{charged, outage};
use crate::shop::Shop;

/// As many as a short outage leaves behind.
const ORDERS: i32 = 5_000;

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_previews_and_retries_all_orders_of_an_outage_and_sees_the_progress() {
    let shop = Shop::open().await;
    outage(&shop.database, ORDERS).await;
    let operator = operator(&shop).await;
    operator.opens("/failures").await;
    operator.sees("payment_deadline").await;
    operator
        .clicks_at("//main//a[contains(@href, 'failure_code=payment_deadline') and contains(@href, 'retry')]")
        .await;
    // The preview changes nothing.
    operator.sees("5,000 orders").await;
    let sql = shop.database.connect().await.unwrap();
    let retried = "SELECT count(*) FROM orders WHERE status <> 'failed' OR attempt > 3";
    assert_eq!(sql.query_one(retried, &[]).await.unwrap().get::<_, i64>(0), 0);

    operator.confirms("Retry").await;
    operator.sees("Matched 5,000").await;
    operator.sees("Done 5,000").await;
    operator.sees("finished").await;
    operator.sees("operator:anonymous").await;
    operator.opens("/operations").await;
    operator.sees("5,000").await;
    operator.leaves().await;
    let retried = sql.query_one(retried, &[]).await.unwrap();
    assert_eq!(retried.get::<_, i64>(0), i64::from(ORDERS));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_selects_orders_and_retries_them() {
    let shop = Shop::open().await;
    outage(&shop.database, 5).await;
    charged(&shop).await;
    let operator = operator(&shop).await;
    operator.opens("/orders").await;
    operator.clicks("Select all on this page").await;
    // A final order that did not fail cannot be changed.
    operator.sees("5 selected").await;
    operator.opens("/orders?status=failed").await;
    for place in 1..=2 {
        operator
            .clicks_at(&format!("(//main//tbody//input[@name='id'])[{place}]"))
            .await;
    }
    operator.sees("2 selected").await;
    operator.clicks("Retry selected").await;
    operator.sees("Retry 2 orders?").await;
    operator.confirms("Retry").await;
    operator.is_at("/orders?changed=2&unchanged=0").await;
    operator.leaves().await;
    let sql = shop.database.connect().await.unwrap();
    let retried = sql.query_one(
        "SELECT count(*) FROM orders WHERE customer LIKE 'customer-%' AND (status <> 'failed' OR attempt > 3)",
        &[],
    );
    assert_eq!(retried.await.unwrap().get::<_, i64>(0), 2);
}

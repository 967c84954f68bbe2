//! Pausing and resuming the queue.

use super::operator;
use super::seed::teapot;
use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_pauses_and_resumes_the_queue() {
    let shop = Shop::open().await;
    let operator = operator(&shop).await;
    operator.opens("/queue").await;
    operator.clicks("Pause").await;
    operator.confirms("Pause").await;
    operator.sees("Paused").await;
    operator.sees("operator:anonymous").await;
    // Orders are accepted and wait. Workers stop claiming within two seconds.
    let sql = shop.database.connect().await.unwrap();
    testkit::eventually("workers that claim nothing", crate::shop::TIMEOUT, || async {
        let id = shop.order(&teapot()).await;
        let claimed = testkit::eventually("a claim", std::time::Duration::from_secs(3), || async {
            (shop.read(&id).await["status"] != "pending").then_some(())
        });
        let claimed = tokio::time::timeout(std::time::Duration::from_secs(2), claimed).await;
        claimed.is_err().then_some(())
    })
    .await;

    operator.opens("/queue").await;
    operator.clicks("Resume").await;
    operator.confirms("Resume").await;
    operator.no_longer_sees("Paused").await;
    testkit::eventually("the end of all orders", crate::shop::TIMEOUT, || async {
        let open = "SELECT count(*) FROM orders WHERE status IN ('pending', 'processing')";
        let open: i64 = sql.query_one(open, &[]).await.unwrap().get(0);
        (open == 0).then_some(())
    })
    .await;
    operator.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_queue_lists_the_workers() {
    let shop = Shop::open().await;
    let operator = operator(&shop).await;
    operator.opens("/queue").await;
    operator.sees(env!("CARGO_PKG_VERSION")).await;
    operator.leaves().await;
}

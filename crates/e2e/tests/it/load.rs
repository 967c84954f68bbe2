//! Many orders at the same time, and nothing left behind.

use futures_util::{StreamExt, stream};
use serde_json::Value;
use testkit::Service;

use crate::shop::{PATIENCE, Shop, widget};

/// A thousand answers of 201, and each order completes exactly once; Redis is as empty as before.
#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_orders_of_32_clients_all_complete_and_leave_nothing_in_redis() {
    let shop = Shop::open().await;
    let before = redis_keys(&shop).await;
    let created: Vec<String> = stream::iter(0..1000)
        .map(|_| async { shop.order(&widget()).await })
        .buffer_unordered(32)
        .collect()
        .await;
    assert_eq!(created.len(), 1000);

    let url = format!("{}/api/orders/analytics", shop.stack.url(Service::Api));
    testkit::eventually("all orders to complete", PATIENCE, || async {
        let answer = shop.http.get(&url).send().await.unwrap();
        let analytics: Value = answer.json().await.unwrap();
        let completed = analytics["by_status"]
            .as_array()?
            .iter()
            .find(|row| row["status"] == "completed")?;
        (completed["count"] == 1000).then_some(())
    })
    .await;
    for id in &created {
        assert_eq!(shop.read(id).await["attempt"], 1);
    }
    testkit::eventually("the sweeper to finish", PATIENCE, || async {
        (redis_keys(&shop).await <= before).then_some(())
    })
    .await;
}

async fn redis_keys(shop: &Shop) -> usize {
    let client = redis::Client::open(shop.redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    redis::cmd("DBSIZE")
        .query_async(&mut connection)
        .await
        .unwrap()
}

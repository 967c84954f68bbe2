//! Redis and workers go away and come back; no order is lost.

use testkit::Service;

use crate::shop::{Shop, widget};

#[tokio::test(flavor = "multi_thread")]
async fn orders_taken_while_redis_is_down_complete_once_it_is_back() {
    let mut shop = Shop::open().await;
    shop.redis.stop().await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(shop.order(&widget()).await);
    }
    shop.redis.restart().await.unwrap();
    for id in ids {
        assert_eq!(shop.settled(&id).await["status"], "completed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_whose_jobs_redis_lost_complete_all_the_same() {
    let mut shop = Shop::open().await;
    shop.stack.stop(Service::Worker).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(shop.order(&widget()).await);
    }
    let client = redis::Client::open(shop.redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: () = redis::cmd("FLUSHALL")
        .query_async(&mut connection)
        .await
        .unwrap();
    shop.stack.restart(Service::Worker).await.unwrap();
    for id in ids {
        assert_eq!(shop.settled(&id).await["status"], "completed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_survives_a_worker_killed_in_mid_attempt() {
    let mut shop = Shop::open_with(&[(Service::Worker, "ORDER_LEASE", "3s")]).await;
    shop.gateway_faults(&serde_json::json!({ "hang_rate": 1.0 }))
        .await;
    let mut body = widget();
    body["payment_method"] = "credit_card".into();
    let id = shop.order(&body).await;
    testkit::eventually(
        "a worker to take the order",
        crate::shop::PATIENCE,
        || async { (shop.read(&id).await["status"] == "processing").then_some(()) },
    )
    .await;

    shop.stack.kill(Service::Worker).await.unwrap();
    shop.gateway_faults(&serde_json::json!({})).await;
    shop.stack.restart(Service::Worker).await.unwrap();

    let order = shop.settled(&id).await;
    assert_eq!(order["status"], "completed");
    assert_eq!(order["attempt"], 2);
    assert_eq!(shop.charges(&id).await, 1);
}

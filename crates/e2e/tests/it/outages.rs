//! Redis, PostgreSQL and workers fail and recover; no order is lost.

use futures_util::{StreamExt, stream};
use serde_json::Value;
use testkit::{Service, Signal};

use crate::shop::{Shop, TIMEOUT, widget};

#[tokio::test(flavor = "multi_thread")]
async fn orders_accepted_while_redis_is_unavailable_complete_once_it_recovers() {
    let mut shop = Shop::open().await;
    shop.redis.stop().await.unwrap();
    let widget = widget();
    let orders = stream::iter(0..1000).map(|_| shop.order(&widget));
    assert_eq!(orders.buffer_unordered(32).count().await, 1000);
    shop.redis.restart().await.unwrap();
    let sql = shop.database.connect().await.unwrap();
    testkit::eventually("all orders to complete", TIMEOUT, || async {
        const COUNT: &str = "SELECT count(*) FROM orders WHERE status = 'completed'";
        let row = sql.query_one(COUNT, &[]).await.unwrap();
        (row.get::<_, i64>(0) == 1000).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_whose_jobs_redis_lost_complete() {
    let mut shop = Shop::open().await;
    shop.stack.stop(Service::Worker).await.unwrap();
    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(shop.order(&widget()).await);
    }
    let client = redis::Client::open(shop.redis.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let _: () = redis::cmd("FLUSHALL").query_async(&mut connection).await.unwrap();
    shop.stack.restart(Service::Worker).await.unwrap();
    for id in ids {
        assert_eq!(shop.final_order(&id).await["status"], "completed");
    }
}

/// The api still accepts orders, so only the worker is unavailable.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_cannot_reconcile_is_not_ready() {
    let mut shop = Shop::open().await;
    shop.redis.stop().await.unwrap();
    let ready = |service| {
        let url = format!("{}/health/ready", shop.stack.url(service));
        async { shop.http.get(url).send().await.unwrap() }
    };
    testkit::eventually("the reconciler to fail", TIMEOUT, || async {
        let health: Value = ready(Service::Worker).await.json().await.unwrap();
        (health["checks"]["reconciler"] == "unavailable").then_some(())
    })
    .await;
    assert_eq!(ready(Service::Worker).await.status(), 503);
    // The api looks at its stores at intervals.
    testkit::eventually("the api to be degraded", TIMEOUT, || async {
        let api = ready(Service::Api).await;
        assert_eq!(api.status(), 200);
        let health: Value = api.json().await.unwrap();
        (health["status"] == "degraded").then_some(())
    })
    .await;
}

/// The worker retries the claim instead of dropping the job until its order is due again.
#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_are_delivered_while_postgresql_is_unavailable_are_processed_once_it_recovers() {
    let postgres = testkit::Postgres::start().await.unwrap();
    let mut shop = Shop::open_on(postgres.database().await.unwrap()).await;
    let mut postgres = postgres;
    shop.stack.signal(Service::Worker, Signal::STOP).unwrap();
    let id = shop.order(&widget()).await;
    postgres.crash().await.unwrap();
    shop.stack.signal(Service::Worker, Signal::CONT).unwrap();
    let log = shop.stack.logs().join("throughline-worker.log");
    testkit::eventually("the claim to wait", TIMEOUT, || async {
        let log = std::fs::read_to_string(&log).unwrap();
        log.contains("not claimed yet").then_some(())
    })
    .await;
    postgres.restart().await.unwrap();
    let order = shop.final_order(&id).await;
    assert_eq!(order["status"], "completed");
    assert_eq!(order["attempt"], 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_survives_a_worker_that_is_killed_during_an_attempt() {
    let mut shop = Shop::open_with(&[(Service::Worker, "ORDER_LEASE", "5s")]).await;
    shop.gateway_faults(&serde_json::json!({ "hang_rate": 1.0 }))
        .await;
    let mut body = widget();
    body["payment_method"] = "credit_card".into();
    let id = shop.order(&body).await;
    testkit::eventually("a worker to claim the order", TIMEOUT, || async {
        (shop.read(&id).await["status"] == "processing").then_some(())
    })
    .await;

    shop.stack.kill(Service::Worker).await.unwrap();
    shop.gateway_faults(&serde_json::json!({})).await;
    shop.stack.restart(Service::Worker).await.unwrap();

    let order = shop.final_order(&id).await;
    assert_eq!(order["status"], "completed");
    assert_eq!(order["attempt"], 2);
    assert_eq!(shop.charges(&id).await, 1);
}

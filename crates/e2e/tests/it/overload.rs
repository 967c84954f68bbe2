//! Too much to do, or too slow a gateway: the service says so, and the rest goes on.

use std::sync::atomic::{AtomicI64, Ordering};

use reqwest::StatusCode;
use serde_json::json;
use testkit::Service;

use crate::shop::{PATIENCE, Shop, widget};

/// Every connection of the pool waits for a lock; who finds none free in time is told when to come again.
#[tokio::test(flavor = "multi_thread")]
async fn who_finds_no_connection_free_in_time_is_told_to_come_again() {
    let shop = Shop::open_with(&[(Service::Api, "DATABASE_POOL_SIZE", "2")]).await;
    let sql = shop.database.connect().await.unwrap();
    sql.batch_execute("BEGIN; LOCK TABLE orders").await.unwrap();
    let url = format!("{}/api/orders", shop.stack.url(Service::Api));
    let posts = (0..12).map(|_| shop.http.post(&url).json(&widget()).send());
    let ready = async {
        until_the_pool_is_busy(&shop).await;
        let url = format!("{}/health/ready", shop.stack.url(Service::Api));
        shop.http.get(url).send().await.unwrap().status()
    };
    let (answers, ready) = tokio::join!(futures_util::future::join_all(posts), ready);
    assert_eq!(ready, StatusCode::OK, "overload is no reason to take no more");
    sql.batch_execute("COMMIT").await.unwrap();

    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.headers()["retry-after"], "1");
    }
    // Nothing is left of it.
    let id = shop.order(&widget()).await;
    assert_eq!(shop.settled(&id).await["status"], "completed");
}

/// Until every connection of the api waits for the lock.
async fn until_the_pool_is_busy(shop: &Shop) {
    let sql = shop.database.connect().await.unwrap();
    testkit::eventually("the pool to be busy", PATIENCE, || async {
        const WAITING: &str = "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name = 'throughline-api'";
        let row = sql.query_one(WAITING, &[]).await.unwrap();
        (row.get::<_, i64>(0) == 2).then_some(())
    })
    .await;
}

/// As many as may run are stuck at the gateway, and more than that wait: never more than the setting are charged at once, and the
/// time-out of each makes room for those without a payment.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_hangs_exhausts_nothing() {
    const CONCURRENCY: i64 = 4;
    const FREE: i64 = 10;
    let env = [
        (Service::Worker, "WORKER_CONCURRENCY", "4"),
        (Service::Worker, "DATABASE_POOL_SIZE", "2"),
        (Service::Worker, "PAYMENT_TIMEOUT", "1s"),
        (Service::Worker, "ORDER_MAX_ATTEMPTS", "2"),
    ];
    let shop = Shop::open_with(&env).await;
    shop.gateway_faults(&json!({ "hang_rate": 1.0 })).await;
    let mut paid = widget();
    paid["payment_method"] = "credit_card".into();
    let mut stuck = Vec::new();
    for _ in 0..CONCURRENCY * 3 {
        stuck.push(shop.order(&paid).await);
    }
    for _ in 0..FREE {
        shop.order(&widget()).await;
    }

    let sql = shop.database.connect().await.unwrap();
    let most = AtomicI64::new(0);
    testkit::eventually("the orders without a payment to complete", PATIENCE, || async {
        const COUNT: &str = "SELECT count(*) FILTER (WHERE status = 'processing'), \
             count(*) FILTER (WHERE status = 'completed' AND payment_method IS NULL) FROM orders";
        let row = sql.query_one(COUNT, &[]).await.unwrap();
        most.fetch_max(row.get(0), Ordering::Relaxed);
        (row.get::<_, i64>(1) == FREE).then_some(())
    })
    .await;
    let most = most.into_inner();
    assert!(most <= CONCURRENCY, "{most} at once");
    for id in stuck {
        let order = shop.settled(&id).await;
        assert_eq!(order["failure"]["code"], "payment_timeout", "{order}");
        assert_eq!(order["attempt"], 2);
    }
}

/// A queue that goes on growing fills Redis. Beyond its limit an order stays in PostgreSQL, and is dispatched when its grace is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_takes_no_more_and_the_order_waits_in_postgresql() {
    const LIMIT: usize = 50_000;
    let mut shop = Shop::open().await;
    shop.stack.stop(Service::Worker).await.unwrap();
    let client = redis::Client::open(shop.redis.url()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let crowd: Vec<String> = (0..LIMIT).map(|n| format!("crowd-{n}")).collect();
    let waiting: usize = redis::cmd("RPUSH")
        .arg("orders:active")
        .arg(crowd)
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(waiting, LIMIT);

    let id = shop.order(&widget()).await;
    let length = redis::cmd("LLEN").arg("orders:active").to_owned();
    let waiting: usize = length.query_async(&mut redis).await.unwrap();
    assert_eq!(waiting, LIMIT);
    let sql = shop.database.connect().await.unwrap();
    const GRACE: &str = "SELECT extract(epoch FROM dispatch_after - created_at)::float8 FROM orders";
    let grace: f64 = sql.query_one(GRACE, &[]).await.unwrap().get(0);
    assert!((grace - 30.0).abs() < 1.0, "due after {grace} s");

    let emptied: usize = redis::cmd("DEL")
        .arg("orders:active")
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(emptied, 1);
    // Rather than waiting for the grace.
    sql.batch_execute("UPDATE orders SET dispatch_after = now()")
        .await
        .unwrap();
    shop.stack.restart(Service::Worker).await.unwrap();
    assert_eq!(shop.settled(&id).await["status"], "completed");
}

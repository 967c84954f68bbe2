//! Overload and a hanging gateway: the service rejects or delays some orders, and the others proceed.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use testkit::Service;

use crate::shop::{Shop, TIMEOUT, widget};

/// A statement of each HTTP thread waits for a lock. The response to the other requests is 503 with
/// Retry-After.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_gets_no_connection_in_time_is_rejected_with_retry_after() {
    let shop = Shop::open_with(&[(Service::Api, "HTTP_WORKERS", "2")]).await;
    let sql = shop.database.connect().await.unwrap();
    sql.batch_execute("BEGIN; LOCK TABLE orders").await.unwrap();
    let url = format!("{}/api/orders", shop.stack.url(Service::Api));
    let posts = (0..12).map(|_| shop.http.post(&url).json(&widget()).send());
    let ready = async {
        wait_for_busy_threads(&shop).await;
        let url = format!("{}/health/ready", shop.stack.url(Service::Api));
        shop.http.get(url).send().await.unwrap().status()
    };
    let (responses, ready) = tokio::join!(join_all(posts), ready);
    assert_eq!(ready, StatusCode::OK, "overload must not fail readiness");
    sql.batch_execute("COMMIT").await.unwrap();

    for response in responses {
        let response = response.unwrap();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "1");
    }
    // Afterwards the service works as before.
    let id = shop.order(&widget()).await;
    assert_eq!(shop.final_order(&id).await["status"], "completed");
}

/// Waits until a statement of each HTTP thread waits for the lock.
async fn wait_for_busy_threads(shop: &Shop) {
    let sql = shop.database.connect().await.unwrap();
    testkit::eventually("both threads to be busy", TIMEOUT, || async {
        const WAITING: &str = "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND wait_event_type = 'Lock' AND application_name = 'throughline-api'";
        let row = sql.query_one(WAITING, &[]).await.unwrap();
        (row.get::<_, i64>(0) == 2).then_some(())
    })
    .await;
}

/// The numbers are those of docs/reliability.md. Clients give up on requests that wait for a lock meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_has_no_more_connections_to_postgresql_than_its_settings_say() {
    const ORDERS: i64 = 300;
    let shop = Shop::open_with(&[
        (Service::Api, "DATABASE_POOL_SIZE", "3"),
        (Service::Api, "DATABASE_REPORTING_POOL_SIZE", "2"),
        (Service::Api, "HTTP_WORKERS", "2"),
        (Service::Worker, "DATABASE_POOL_SIZE", "3"),
        (Service::Worker, "DATABASE_REPORTING_POOL_SIZE", "2"),
    ])
    .await;
    let (sql, watcher) = (
        shop.database.connect().await.unwrap(),
        shop.database.connect().await.unwrap(),
    );
    let url = format!("{}/api/orders", shop.stack.url(Service::Api));
    let placed = async || -> i64 {
        let count = "SELECT count(*) FROM orders";
        sql.query_one(count, &[]).await.unwrap().get(0)
    };
    let client = async |_| {
        while placed().await < ORDERS {
            let _ = shop.http.post(&url).json(&widget()).send().await;
            let _ = shop.http.get(&url).send().await;
        }
    };
    let impatient = async |_| {
        for _ in 0..5 {
            let limit = Duration::from_millis(200);
            let _ = shop.http.post(&url).json(&widget()).timeout(limit).send().await;
            let _ = shop.http.get(&url).timeout(limit).send().await;
        }
    };
    let load = async {
        join_all((0..16).map(client)).await;
        sql.batch_execute("BEGIN; LOCK TABLE orders").await.unwrap();
        join_all((0..32).map(impatient)).await;
        sql.batch_execute("COMMIT").await.unwrap();
        let interval = Duration::from_millis(100);
        let left = testkit::wait_for_final_orders(&sql, interval, TIMEOUT).await;
        assert_eq!(left.unwrap(), 0);
    };
    let mut most: BTreeMap<String, i64> = BTreeMap::new();
    let watch = async {
        loop {
            const BACKENDS: &str = "SELECT application_name, count(*) FROM pg_stat_activity \
                 WHERE datname = current_database() AND application_name LIKE 'throughline-%' GROUP BY 1";
            for row in watcher.query(BACKENDS, &[]).await.unwrap() {
                let most = most.entry(row.get(0)).or_default();
                *most = (*most).max(row.get(1));
            }
        }
    };
    tokio::select! {
        () = load => {}
        () = watch => {}
    }
    let (api, worker) = (most["throughline-api"], most["throughline-worker"]);
    assert!(
        (4..=3 + 2 + 3 * 2 + 1).contains(&api),
        "{api} connections of the api"
    );
    assert!(
        (2..=3 + 2 + 5 + 1).contains(&worker),
        "{worker} connections of the worker"
    );
}

/// Three times as many orders as WORKER_CONCURRENCY wait for a gateway that hangs. They never take all of it,
/// and complete once the gateway responds.
#[tokio::test(flavor = "multi_thread")]
async fn a_hanging_gateway_blocks_no_order_without_a_payment() {
    const CONCURRENCY: i64 = 4;
    const FREE: i64 = 10;
    let env = [
        (Service::Worker, "WORKER_CONCURRENCY", "4"),
        (Service::Worker, "DATABASE_POOL_SIZE", "2"),
        (Service::Worker, "PAYMENT_TIMEOUT", "1s"),
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
    let max_processing = AtomicI64::new(0);
    testkit::eventually("the orders without a payment to complete", TIMEOUT, || async {
        const COUNT: &str = "SELECT count(*) FILTER (WHERE status = 'processing'), \
             count(*) FILTER (WHERE status = 'completed' AND payment_method IS NULL) FROM orders";
        let row = sql.query_one(COUNT, &[]).await.unwrap();
        max_processing.fetch_max(row.get(0), Ordering::Relaxed);
        (row.get::<_, i64>(1) == FREE).then_some(())
    })
    .await;
    let max_processing = max_processing.into_inner();
    assert!(max_processing <= CONCURRENCY, "{max_processing} at once");
    shop.gateway_faults(&json!({})).await;
    for id in stuck {
        let order = shop.final_order(&id).await;
        assert_eq!(order["status"], "completed", "{order}");
        assert_eq!(shop.charges(&id).await, 1);
    }
}

/// An unbounded queue would fill Redis. Beyond the limit an order stays in PostgreSQL until the reconciler
/// dispatches it.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_accepts_no_job_and_the_order_waits_in_postgresql() {
    const LIMIT: usize = 50_000;
    let mut shop = Shop::open().await;
    shop.stack.stop(Service::Worker).await.unwrap();
    let client = redis::Client::open(shop.redis.url()).unwrap();
    let mut redis = client.get_multiplexed_async_connection().await.unwrap();
    let jobs: Vec<String> = (0..LIMIT).map(|n| format!("job-{n}")).collect();
    let waiting: usize = redis::cmd("RPUSH")
        .arg("orders:active")
        .arg(jobs)
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(waiting, LIMIT);

    let id = shop.order(&widget()).await;
    let length = redis::cmd("LLEN").arg("orders:active").to_owned();
    let waiting: usize = length.query_async(&mut redis).await.unwrap();
    assert_eq!(waiting, LIMIT);
    let sql = shop.database.connect().await.unwrap();
    const DELAY: &str = "SELECT extract(epoch FROM dispatch_after - created_at)::float8 FROM orders";
    let delay: f64 = sql.query_one(DELAY, &[]).await.unwrap().get(0);
    assert!((delay - 30.0).abs() < 1.0, "due after {delay} s");

    let emptied: usize = redis::cmd("DEL")
        .arg("orders:active")
        .query_async(&mut redis)
        .await
        .unwrap();
    assert_eq!(emptied, 1);
    // Instead of waiting for the delay.
    sql.batch_execute("UPDATE orders SET dispatch_after = now()")
        .await
        .unwrap();
    shop.stack.restart(Service::Worker).await.unwrap();
    assert_eq!(shop.final_order(&id).await["status"], "completed");
}

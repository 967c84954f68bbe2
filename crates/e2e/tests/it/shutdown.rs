//! Shutdown by SIGTERM, as Kubernetes sends it.

use reqwest::StatusCode;
use serde_json::json;
use testkit::{Service, Signal};

use crate::shop::{Shop, TIMEOUT, widget};

async fn order_in_flight(shop: &Shop) -> String {
    let mut body = widget();
    body["payment_method"] = "credit_card".into();
    let id = shop.order(&body).await;
    testkit::eventually("a worker to claim the order", TIMEOUT, || async {
        (shop.read(&id).await["status"] == "processing").then_some(())
    })
    .await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_finishes_its_attempts_in_flight_at_shutdown() {
    let mut shop = Shop::open().await;
    shop.gateway_faults(&json!({ "latency_ms": 1500 })).await;
    let id = order_in_flight(&shop).await;
    let status = shop.stack.stop(Service::Worker).await.unwrap();
    assert_eq!(status.code(), Some(0));
    let order = shop.read(&id).await;
    assert_eq!(order["status"], "completed");
    assert_eq!(order["attempt"], 1);
}

/// The lease is longer than the test's timeout: only a release makes the order due again.
#[tokio::test(flavor = "multi_thread")]
async fn attempts_that_do_not_end_before_the_shutdown_timeout_are_released_for_another_worker() {
    let env = [
        (Service::Worker, "SHUTDOWN_TIMEOUT", "500ms"),
        (Service::Worker, "ORDER_LEASE", "10m"),
        (Service::Worker, "PAYMENT_TIMEOUT", "5m"),
    ];
    let mut shop = Shop::open_with(&env).await;
    shop.gateway_faults(&json!({ "hang_rate": 1.0 })).await;
    let id = order_in_flight(&shop).await;
    let status = shop.stack.stop(Service::Worker).await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(shop.read(&id).await["status"], "pending");

    shop.gateway_faults(&json!({})).await;
    shop.stack.restart(Service::Worker).await.unwrap();
    let order = shop.final_order(&id).await;
    assert_eq!(order["status"], "completed");
    assert_eq!(order["attempt"], 2);
    assert_eq!(shop.charges(&id).await, 1);
}

/// Readiness fails before connections are refused, so a load balancer can stop sending requests in time. The
/// shutdown timeout is longer than the test waits: connections that clients keep open must not delay the end.
#[tokio::test(flavor = "multi_thread")]
async fn the_api_fails_readiness_before_it_refuses_connections_and_ends_with_code_0() {
    let mut shop = Shop::open_with(&[(Service::Api, "SHUTDOWN_TIMEOUT", "10m")]).await;
    let ready = format!("{}/health/ready", shop.stack.url(Service::Api));
    // On a busy machine no request may fall into the drain delay; then another shutdown shows it.
    for _ in 0..10 {
        shop.stack.signal(Service::Api, Signal::TERM).unwrap();
        let seen = testkit::eventually("the end of readiness", TIMEOUT, || async {
            match shop.http.get(&ready).send().await {
                Ok(response) if response.status() == StatusCode::OK => None,
                Ok(response) => Some(response.status() == StatusCode::SERVICE_UNAVAILABLE),
                Err(_) => Some(false),
            }
        });
        let seen = seen.await;
        let status = shop.stack.stop(Service::Api).await.unwrap();
        assert_eq!(
            status.code(),
            Some(0),
            "idle connections of `shop.http` delay the end"
        );
        if seen {
            return;
        }
        shop.stack.restart(Service::Api).await.unwrap();
    }
    panic!("connections are refused before readiness fails");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_api_completes_a_request_in_flight_at_shutdown() {
    let mut shop = Shop::open_with(&[(Service::Api, "DATABASE_STATEMENT_TIMEOUT", "1m")]).await;
    let sql = shop.database.connect().await.unwrap();
    sql.batch_execute("BEGIN; LOCK TABLE orders").await.unwrap();
    let url = format!("{}/api/orders", shop.stack.url(Service::Api));
    let post = shop.http.post(url).json(&widget()).send();
    let (response, status) = tokio::join!(tokio::spawn(post), async {
        testkit::eventually("the request to wait for the lock", TIMEOUT, || async {
            const WAITS: &str = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
            sql.query_opt(WAITS, &[]).await.unwrap()
        })
        .await;
        shop.stack.signal(Service::Api, Signal::TERM).unwrap();
        let ready = format!("{}/health/ready", shop.stack.url(Service::Api));
        testkit::eventually("the api to refuse connections", TIMEOUT, || async {
            let fresh = reqwest::Client::new();
            fresh.get(&ready).send().await.is_err().then_some(())
        })
        .await;
        sql.batch_execute("COMMIT").await.unwrap();
        shop.stack.stop(Service::Api).await
    });
    assert_eq!(response.unwrap().unwrap().status(), StatusCode::CREATED);
    assert_eq!(status.unwrap().code(), Some(0));
}

//! What SIGTERM does, as Kubernetes sends it.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use testkit::{Service, Signal};

use crate::shop::{PATIENCE, Shop, widget};

async fn being_charged(shop: &Shop) -> String {
    let mut body = widget();
    body["payment_method"] = "credit_card".into();
    let id = shop.order(&body).await;
    testkit::eventually("a worker to take the order", PATIENCE, || async {
        (shop.read(&id).await["status"] == "processing").then_some(())
    })
    .await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_is_to_end_finishes_the_attempts_in_flight() {
    let mut shop = Shop::open().await;
    shop.gateway_faults(&json!({ "latency_ms": 1500 })).await;
    let id = being_charged(&shop).await;
    let status = shop.stack.stop(Service::Worker).await.unwrap();
    assert_eq!(status.code(), Some(0));
    let order = shop.read(&id).await;
    assert_eq!(order["status"], "completed");
    assert_eq!(order["attempt"], 1);
}

/// The lease is longer than the test waits: only a release makes the order due again.
#[tokio::test(flavor = "multi_thread")]
async fn attempts_that_do_not_end_in_time_are_released_for_another_worker_at_once() {
    let env = [
        (Service::Worker, "SHUTDOWN_TIMEOUT", "500ms"),
        (Service::Worker, "ORDER_LEASE", "10m"),
        (Service::Worker, "PAYMENT_TIMEOUT", "5m"),
    ];
    let mut shop = Shop::open_with(&env).await;
    shop.gateway_faults(&json!({ "hang_rate": 1.0 })).await;
    let id = being_charged(&shop).await;
    let status = shop.stack.stop(Service::Worker).await.unwrap();
    assert_eq!(status.code(), Some(0));
    assert_eq!(shop.read(&id).await["status"], "pending");

    shop.gateway_faults(&json!({})).await;
    shop.stack.restart(Service::Worker).await.unwrap();
    let order = shop.settled(&id).await;
    assert_eq!(order["status"], "completed");
    assert_eq!(order["attempt"], 2);
    assert_eq!(shop.charges(&id).await, 1);
}

/// Whoever asks often enough sees it unready before it refuses a connection: so no balancer sends it a request that it will not take.
#[tokio::test(flavor = "multi_thread")]
async fn the_readiness_of_an_api_that_is_to_end_fails_first_and_it_ends_with_code_0() {
    let mut shop = Shop::open().await;
    let ready = format!("{}/health/ready", shop.stack.url(Service::Api));
    shop.stack.signal(Service::Api, Signal::TERM).unwrap();
    testkit::eventually("readiness to fail", PATIENCE, || async {
        let answer = shop.http.get(&ready).send().await;
        let answer = answer.expect("a connection was refused before readiness failed");
        (answer.status() == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
    // `shop.http` keeps connections open, as clients do: none may hold up the end.
    let ended = tokio::time::timeout(Duration::from_secs(25), shop.stack.stop(Service::Api));
    let status = ended.await.expect("idle connections hold up the end");
    assert_eq!(status.unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_is_answered_by_an_api_that_is_to_end() {
    let mut shop = Shop::open().await;
    let sql = shop.database.connect().await.unwrap();
    sql.batch_execute("BEGIN; LOCK TABLE orders").await.unwrap();
    let url = format!("{}/api/orders", shop.stack.url(Service::Api));
    let post = shop.http.post(url).json(&widget()).send();
    let (answer, status) = tokio::join!(tokio::spawn(post), async {
        testkit::eventually("the request to wait for the lock", PATIENCE, || async {
            const WAITS: &str = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
            sql.query_opt(WAITS, &[]).await.unwrap()
        })
        .await;
        shop.stack.signal(Service::Api, Signal::TERM).unwrap();
        let ready = format!("{}/health/ready", shop.stack.url(Service::Api));
        testkit::eventually("the api to take no more connections", PATIENCE, || async {
            let fresh = reqwest::Client::new();
            fresh.get(&ready).send().await.is_err().then_some(())
        })
        .await;
        sql.batch_execute("COMMIT").await.unwrap();
        shop.stack.stop(Service::Api).await
    });
    assert_eq!(answer.unwrap().unwrap().status(), StatusCode::CREATED);
    assert_eq!(status.unwrap().code(), Some(0));
}

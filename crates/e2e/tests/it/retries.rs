//! When an order fails for good.

use serde_json::{Value, json};
use testkit::Service;

use crate::shop::{Shop, TIMEOUT, widget};

#[tokio::test(flavor = "multi_thread")]
async fn after_the_last_attempt_an_order_fails_with_its_reason() {
    let env = [
        (Service::Worker, "ORDER_MAX_ATTEMPTS", "3"),
        (Service::Worker, "PAYMENT_GATEWAY_URL", ""),
    ];
    let shop = Shop::open_with(&env).await;
    let id = shop.order(&payable()).await;
    let order = shop.final_order(&id).await;
    assert_eq!(order["status"], "failed");
    assert_eq!(order["attempt"], 3);
    assert_eq!(order["failure"]["code"], "payment_unavailable");
    assert_eq!(order["payment_status"], "cancelled");
}

/// The gateway hangs, so that each worker is killed in the middle of an attempt.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_every_attempt_kills_its_worker_fails() {
    let env = [
        (Service::Worker, "ORDER_MAX_CRASHES", "2"),
        (Service::Worker, "ORDER_LEASE", "5s"),
        (Service::Worker, "PAYMENT_TIMEOUT", "1m"),
    ];
    let mut shop = Shop::open_with(&env).await;
    shop.gateway_faults(&json!({ "hang_rate": 1.0 })).await;
    let id = shop.order(&payable()).await;
    for attempt in 1..=2 {
        testkit::eventually("the next attempt", TIMEOUT, || async {
            let order = shop.read(&id).await;
            (order["status"] == "processing" && order["attempt"] == attempt).then_some(())
        })
        .await;
        shop.stack.kill(Service::Worker).await.unwrap();
        shop.stack.restart(Service::Worker).await.unwrap();
    }
    let order = shop.final_order(&id).await;
    assert_eq!(order["status"], "failed");
    assert_eq!(order["failure"]["code"], "worker_crashed");
    assert_eq!(order["payment_status"], "cancelled");
    shop.gateway_faults(&json!({})).await;
    assert_eq!(shop.charges(&id).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_waits_for_the_gateway_longer_than_the_deadline_fails() {
    let env = [
        (Service::Worker, "ORDER_MAX_ATTEMPTS", "1"),
        (Service::Worker, "PAYMENT_DEADLINE", "3s"),
    ];
    let shop = Shop::open_with(&env).await;
    shop.gateway_faults(&json!({ "error_rate": 1.0 })).await;
    let id = shop.order(&payable()).await;
    let order = shop.final_order(&id).await;
    assert_eq!(order["status"], "failed");
    assert!(order["attempt"].as_i64().unwrap() > 1, "{order}");
    assert_eq!(order["failure"]["code"], "payment_deadline");
    assert_eq!(order["payment_status"], "cancelled");
}

fn payable() -> Value {
    let mut body = widget();
    body["payment_method"] = "credit_card".into();
    body
}

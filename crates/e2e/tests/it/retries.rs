//! An order that cannot succeed fails with the reason of its last attempt.

use serde_json::json;
use testkit::Service;

use crate::shop::{Shop, TIMEOUT, widget};

#[tokio::test(flavor = "multi_thread")]
async fn after_the_last_attempt_an_order_fails_with_its_reason() {
    let shop = Shop::open_with(&[(Service::Worker, "ORDER_MAX_ATTEMPTS", "3")]).await;
    shop.gateway_faults(&json!({ "error_rate": 1.0 })).await;
    let mut body = widget();
    body["payment_method"] = "credit_card".into();
    let id = shop.order(&body).await;
    let order = shop.final_order(&id).await;
    assert_eq!(order["status"], "failed");
    assert_eq!(order["attempt"], 3);
    assert_eq!(order["failure"]["code"], "payment_unavailable");
    assert_eq!(order["payment_status"], "pending");
    shop.gateway_faults(&json!({})).await;
    assert_eq!(shop.charges(&id).await, 0);
}

/// An attempt counts although its worker was killed, so an order that kills its workers has a bounded number
/// of attempts.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_whose_every_attempt_kills_its_worker_fails() {
    let env = [
        (Service::Worker, "ORDER_MAX_ATTEMPTS", "2"),
        (Service::Worker, "ORDER_LEASE", "5s"),
        (Service::Worker, "PAYMENT_TIMEOUT", "1m"),
    ];
    let mut shop = Shop::open_with(&env).await;
    shop.gateway_faults(&json!({ "hang_rate": 1.0 })).await;
    let mut body = widget();
    body["payment_method"] = "credit_card".into();
    let id = shop.order(&body).await;
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
    assert_eq!(order["failure"]["code"], "attempts_exhausted");
}

/// The worker of the last attempt is killed and records no reason; the attempt before recorded one.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_without_attempts_left_has_the_last_recorded_reason() {
    let env = [
        (Service::Worker, "ORDER_MAX_ATTEMPTS", "2"),
        (Service::Worker, "ORDER_LEASE", "5s"),
        (Service::Worker, "PAYMENT_TIMEOUT", "1m"),
    ];
    let mut shop = Shop::open_with(&env).await;
    shop.gateway_faults(&json!({ "error_rate": 1.0 })).await;
    let mut body = widget();
    body["payment_method"] = "credit_card".into();
    let id = shop.order(&body).await;
    testkit::eventually("the first failure", TIMEOUT, || async {
        (shop.read(&id).await["failure"]["code"] == "payment_unavailable").then_some(())
    })
    .await;
    shop.gateway_faults(&json!({ "hang_rate": 1.0 })).await;
    testkit::eventually("the last attempt", TIMEOUT, || async {
        let order = shop.read(&id).await;
        (order["status"] == "processing" && order["attempt"] == 2).then_some(())
    })
    .await;
    shop.stack.kill(Service::Worker).await.unwrap();
    shop.stack.restart(Service::Worker).await.unwrap();
    let order = shop.final_order(&id).await;
    assert_eq!(order["status"], "failed");
    assert_eq!(order["failure"]["code"], "payment_unavailable");
}

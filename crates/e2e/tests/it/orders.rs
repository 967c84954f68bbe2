//! What becomes of an order.

use reqwest::StatusCode;
use serde_json::json;

use crate::shop::{Shop, widget};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_without_a_payment_completes() {
    let shop = Shop::open().await;
    let id = shop.order(&widget()).await;
    let order = shop.settled(&id).await;
    assert_eq!(order["status"], "completed");
    assert_eq!(order["payment_status"], "not_required");
    assert_eq!(order["attempt"], 1);
    assert!(order["completed_at"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_with_a_payment_is_charged_once() {
    let shop = Shop::open().await;
    let mut body = widget();
    body["payment_method"] = json!("credit_card");
    let id = shop.order(&body).await;
    let order = shop.settled(&id).await;
    assert_eq!(order["status"], "completed");
    assert_eq!(order["payment_status"], "charged");
    assert!(order["payment_id"].as_str().unwrap().starts_with("pi_"));
    assert_eq!(shop.charges(&id).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declined_card_fails_the_order_at_the_first_attempt() {
    let shop = Shop::open().await;
    let mut body = widget();
    body["payment_method"] = json!("credit_card");
    body["payment_token"] = json!("pm_card_chargeDeclined");
    let id = shop.order(&body).await;
    let order = shop.settled(&id).await;
    assert_eq!(order["status"], "failed");
    assert_eq!(order["payment_status"], "refused");
    assert_eq!(order["failure"]["code"], "card_declined");
    assert_eq!(order["attempt"], 1);
    assert_eq!(shop.charges(&id).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_whose_answer_was_lost_is_found_again_and_not_repeated() {
    let shop = Shop::open().await;
    shop.gateway_faults(&json!({ "drop_after_charge_rate": 1.0 }))
        .await;
    let mut body = widget();
    body["payment_method"] = json!("debit_card");
    let id = shop.order(&body).await;
    let order = shop.settled(&id).await;
    assert_eq!(order["payment_status"], "charged");
    assert!(order["attempt"].as_i64().unwrap() >= 2, "{order}");
    assert_eq!(shop.charges(&id).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_a_worker_has_taken_cannot_be_cancelled() {
    let shop = Shop::open().await;
    let id = shop.order(&widget()).await;
    shop.settled(&id).await;
    let url = format!("{}/api/orders/{id}", shop.stack.url(testkit::Service::Api));
    let answer = shop.http.delete(url).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::CONFLICT);
}

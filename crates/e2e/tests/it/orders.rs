//! The final states of orders.

use reqwest::StatusCode;
use serde_json::json;

use crate::shop::{Shop, TIMEOUT, widget};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_without_a_payment_completes() {
    let shop = Shop::open().await;
    let id = shop.order(&widget()).await;
    let order = shop.final_order(&id).await;
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
    let order = shop.final_order(&id).await;
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
    let order = shop.final_order(&id).await;
    assert_eq!(order["status"], "failed");
    assert_eq!(order["payment_status"], "refused");
    assert_eq!(order["failure"]["code"], "card_declined");
    assert_eq!(order["attempt"], 1);
    assert_eq!(shop.charges(&id).await, 0);
}

/// Stripe's minor unit of some currencies differs from ISO 4217: 5 kronur are 500.
#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_charged_its_amount_in_a_currency_whose_minor_unit_differs_at_stripe() {
    let shop = Shop::open().await;
    let mut body = json!({ "product_name": "Widget", "amount": "5", "currency": "ISK", "payment_method": "credit_card" });
    let charged = shop.final_order(&shop.order(&body).await).await;
    assert_eq!(charged["payment_status"], "charged", "{charged}");
    let path = format!("/v1/payment_intents/{}", charged["payment_id"].as_str().unwrap());
    let url = format!("{}{path}", shop.stack.url(testkit::Service::Gateway));
    let payment = shop.http.get(url).bearer_auth("sk_test_throughline");
    let payment: serde_json::Value = payment.send().await.unwrap().json().await.unwrap();
    assert_eq!(payment["amount_received"], 500, "{payment}");

    body["amount"] = json!("5.124");
    body["currency"] = json!("KWD");
    let rejected = shop.final_order(&shop.order(&body).await).await;
    assert_eq!(rejected["failure"]["code"], "payment_rejected", "{rejected}");
}

/// A row that was changed outside the service moves no money, if the amount is large.
#[tokio::test(flavor = "multi_thread")]
async fn a_large_order_whose_amount_is_not_the_sum_of_its_items_is_not_charged() {
    let mut shop = Shop::open().await;
    shop.stack.stop(testkit::Service::Worker).await.unwrap();
    let body = json!({ "product_name": "Widget", "amount": "2000", "payment_method": "credit_card" });
    let id = shop.order(&body).await;
    let sql = shop.database.connect().await.unwrap();
    sql.batch_execute("UPDATE orders SET amount = amount + 1")
        .await
        .unwrap();
    shop.stack.restart(testkit::Service::Worker).await.unwrap();
    let order = shop.final_order(&id).await;
    assert_eq!(order["status"], "failed");
    assert_eq!(order["failure"]["code"], "amount_mismatch", "{order}");
    assert_eq!(shop.charges(&id).await, 0);
}

/// Only an operator can fix the service's key: orders wait for that, and no customer sees the reason.
#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_rejects_the_services_key_fails_no_order() {
    let shop = Shop::open_with(&[(
        testkit::Service::Worker,
        "PAYMENT_GATEWAY_KEY",
        "pk_test_no_secret_key",
    )])
    .await;
    let mut body = widget();
    body["payment_method"] = json!("credit_card");
    let id = shop.order(&body).await;
    let order = testkit::eventually("a second attempt", TIMEOUT, || async {
        let order = shop.read(&id).await;
        (order["attempt"].as_i64()? >= 2 && order["status"] == "pending").then_some(order)
    })
    .await;
    assert_eq!(order["failure"]["code"], "payment_unavailable", "{order}");
    let detail = order["failure"]["detail"].as_str().unwrap();
    assert!(!detail.contains("key"), "{detail}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_charge_whose_response_was_lost_is_found_again_and_not_repeated() {
    let shop = Shop::open().await;
    shop.gateway_faults(&json!({ "drop_after_charge_rate": 1.0 }))
        .await;
    let mut body = widget();
    body["payment_method"] = json!("debit_card");
    let id = shop.order(&body).await;
    let order = shop.final_order(&id).await;
    assert_eq!(order["payment_status"], "charged");
    assert!(order["attempt"].as_i64().unwrap() >= 2, "{order}");
    assert_eq!(shop.charges(&id).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_a_worker_has_claimed_cannot_be_cancelled() {
    let shop = Shop::open().await;
    let id = shop.order(&widget()).await;
    shop.final_order(&id).await;
    let url = format!("{}/api/orders/{id}", shop.stack.url(testkit::Service::Api));
    let response = shop.http.delete(url).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::CONFLICT);
}

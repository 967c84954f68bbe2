//! Creating, reading, cancelling and retrying orders.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::response::Response;
use crate::service::{Api, widget};
use crate::worker::Worker;

#[tokio::test]
async fn an_order_is_created_read_and_cancelled() {
    let api = Api::start().await;
    let created = api.post("/api/orders", &widget()).await;
    insta::assert_json_snapshot!("created", created.snapshot());
    let path = created.header("location").unwrap().to_owned();
    assert_eq!(
        path,
        format!("/api/orders/{}", created.body["id"].as_str().unwrap())
    );

    let read = api.get(&path).await;
    assert_eq!(read.body, created.body);
    let head = Response::of(api.request(Method::HEAD, &path)).await;
    assert_eq!((head.status, head.text.as_str()), (200, ""));

    let cancelled = api.delete(&path).await;
    assert_eq!((cancelled.status, cancelled.text.as_str()), (204, ""));
    let again = api.delete(&path).await;
    again.problem(409, &path);
    insta::assert_json_snapshot!("cancelled_again", again.snapshot());
    let read = api.get(&path).await;
    assert_eq!(read.body["status"], "cancelled");
}

#[tokio::test]
async fn several_items_and_a_payment_are_shown_as_they_were_given() {
    let api = Api::start().await;
    let body = json!({
        "items": [
            { "product_name": "Widget", "quantity": 2, "unit_price": 49.99 },
            { "product_name": "'; DROP TABLE orders; --", "quantity": 1, "unit_price": "0.02" },
        ],
        "currency": "EUR",
        "payment_method": "credit_card",
        "payment_token": "pm_secret",
    });
    let created = api.post("/api/orders/", &body).await;
    assert!(!created.text.contains("pm_secret"));
    insta::assert_json_snapshot!("several_items", created.snapshot());
}

#[tokio::test]
async fn analytics_count_and_sum_by_status_and_currency() {
    let api = Api::start().await;
    let cancelled = api.order().await;
    api.delete(&format!("/api/orders/{cancelled}")).await;
    api.order().await;
    api.post(
        "/api/orders",
        &json!({ "product_name": "a", "amount": 7, "currency": "JPY" }),
    )
    .await;
    let first = api.get("/api/orders/analytics").await;
    insta::assert_json_snapshot!("analytics", first.snapshot());

    // Cached at first, correct afterwards.
    api.order().await;
    assert_eq!(api.get("/api/orders/analytics").await.text, first.text);
    testkit::eventually(
        "the new order to be counted",
        Duration::from_secs(30),
        async || {
            let totals = api.get("/api/orders/analytics").await;
            (totals.body["total_orders"] == 4).then_some(())
        },
    )
    .await;
}

#[tokio::test]
async fn an_operator_retries_a_failed_order() {
    let api = Api::start().await;
    let (id, worker) = (api.order().await, Worker::of(&api));
    let (path, retry) = (format!("/api/orders/{id}"), format!("/api/orders/{id}/retry"));
    let pending = Response::of(api.request(Method::POST, &retry)).await;
    assert_eq!(pending.problem(409, &retry), "A pending order cannot be retried.");
    let claimed = worker.claim(&id).await;
    worker.fail(&claimed).await;

    let queue: queue::Queue<domain::ProcessOrder> = queue::Queue::connect_lazy(api.queue_config()).unwrap();
    let before = queue.stats().await.unwrap().depth;
    let retried = Response::of(api.request(Method::POST, &retry)).await;
    insta::assert_json_snapshot!("retried", retried.snapshot());
    assert_eq!(queue.stats().await.unwrap().depth, before + 1);
    let again = worker.claim(&id).await;
    assert_eq!(again.attempt.number(), 2);
    worker.complete(&again).await;
    assert_eq!(api.get(&path).await.body["status"], "completed");

    let history = api.get(&format!("{path}/history")).await;
    insta::assert_json_snapshot!("history", history.snapshot());
    let tag = history.header("etag").unwrap();
    let request = api.request(Method::GET, &format!("{path}/history"));
    let unchanged = Response::of(request.header("if-none-match", tag)).await;
    assert_eq!((unchanged.status, unchanged.text.as_str()), (304, ""));

    for nothing in ["retry", "history"] {
        let path = format!("/api/orders/0192e4a0-0000-7000-8000-000000000000/{nothing}");
        let method = if nothing == "retry" {
            Method::POST
        } else {
            Method::GET
        };
        Response::of(api.request(method, &path)).await.problem(404, &path);
    }
}

#[tokio::test]
async fn health_reports_each_check() {
    let api = Api::start().await;
    insta::assert_json_snapshot!("health", api.get("/health").await.snapshot());
    insta::assert_json_snapshot!("ready", api.get("/health/ready").await.snapshot());
}

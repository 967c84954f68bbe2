//! Idempotency-Key: one key, one order, one response.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::response::Response;
use crate::service::{Api, widget};

async fn post(api: &Api, key: &str, body: &Value) -> Response {
    let request = api.request(Method::POST, "/api/orders").json(body);
    Response::of(request.header("Idempotency-Key", key)).await
}

async fn orders(api: &Api) -> i64 {
    let sql = api.database.connect().await.unwrap();
    sql.query_one("SELECT count(*) FROM orders", &[])
        .await
        .unwrap()
        .get(0)
}

#[tokio::test]
async fn the_same_request_gets_the_same_response_byte_for_byte() {
    let api = Api::start().await;
    let first = post(&api, "k-1", &widget()).await;
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(first.header("idempotency-replayed"), None);

    // Even after the order has changed, and with other white space in the body.
    let path = first.header("location").unwrap();
    assert_eq!(api.delete(path).await.status, 204);
    let request = api
        .request(Method::POST, "/api/orders/")
        .header("content-type", "application/json")
        .header("idempotency-key", "k-1")
        .body("{ \"amount\": 99.99,\n\"product_name\": \"Widget\" }");
    let again = Response::of(request).await;
    insta::assert_json_snapshot!("replayed", again.snapshot());
    assert_eq!(again.text, first.text);
    assert_eq!(again.header("location"), first.header("location"));
    assert_eq!(orders(&api).await, 1);

    let other = post(&api, "k-2", &widget()).await;
    assert_ne!(other.body["id"], first.body["id"]);
}

#[tokio::test]
async fn a_key_with_another_body_is_422() {
    let api = Api::start().await;
    post(&api, "k", &widget()).await;
    let other = post(&api, "k", &json!({ "product_name": "Widget", "amount": "99.98" })).await;
    other.problem(422, "/api/orders");
    insta::assert_json_snapshot!("another_body", other.snapshot());
    assert_eq!(orders(&api).await, 1);
}

#[tokio::test]
async fn an_invalid_key_is_400() {
    let api = Api::start().await;
    let long = "x".repeat(256);
    for key in ["", " ", "a b", "\u{e4}", &long] {
        let response = post(&api, key, &widget()).await;
        response.problem(400, "/api/orders");
    }
    let twice = api.request(Method::POST, "/api/orders").json(&widget());
    let twice = Response::of(
        twice
            .header("idempotency-key", "a")
            .header("idempotency-key", "b"),
    )
    .await;
    insta::assert_json_snapshot!("bad_key", twice.snapshot());
    assert_eq!(orders(&api).await, 0);
    assert_eq!(post(&api, &"x".repeat(255), &widget()).await.status, 201);
}

#[tokio::test]
async fn a_refused_body_does_not_use_up_its_key() {
    let api = Api::start().await;
    let refused = post(&api, "k", &json!({ "product_name": "Widget", "amount": "0" })).await;
    assert_eq!(refused.status, 422);
    assert_eq!(post(&api, "k", &widget()).await.status, 201);
}

#[tokio::test]
async fn fifty_concurrent_requests_create_one_order() {
    let api = Api::start().await;
    let body = widget();
    let responses = join_all((0..50).map(|_| post(&api, "k", &body))).await;
    let new = responses
        .iter()
        .filter(|response| response.status == 201 && response.header("idempotency-replayed").is_none());
    assert_eq!(new.count(), 1);
    for response in &responses {
        assert!(matches!(response.status, 201 | 409), "{response:?}");
    }
    assert_eq!(orders(&api).await, 1);
    assert_eq!(
        post(&api, "k", &body).await.header("idempotency-replayed"),
        Some("true")
    );
}

#[tokio::test]
async fn a_key_that_is_still_in_flight_is_409() {
    // The first request waits until the end of the test.
    let api = Api::with(&[("DATABASE_STATEMENT_TIMEOUT", "60s")]).await;
    let sql = api.database.connect().await.unwrap();
    // An uncommitted row with this key: the first request waits for its transaction.
    let row = "INSERT INTO idempotency_keys (order_id, customer, key, fingerprint) \
               VALUES (gen_random_uuid(), 'anonymous', 'k', sha256(''))";
    sql.batch_execute(&format!("BEGIN; {row}")).await.unwrap();
    let request = api.request(Method::POST, "/api/orders").json(&widget());
    let first = tokio::spawn(Response::of(request.header("idempotency-key", "k")));
    let second = testkit::eventually("the second to be refused", Duration::from_secs(30), async || {
        let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND \
                    database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        let held: i64 = sql.query_one(held, &[]).await.unwrap().get(0);
        if held == 0 {
            return None;
        }
        Some(post(&api, "k", &widget()).await)
    })
    .await;
    second.problem(409, "/api/orders");
    insta::assert_json_snapshot!("in_flight", second.snapshot());
    sql.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(first.await.unwrap().status, 201);
}

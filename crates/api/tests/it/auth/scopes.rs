//! Scopes, and which customer may access which order.

use reqwest::Method;

use super::tokens::{api, list, send, token};
use crate::response::Response;
use crate::service::{Api, widget};
use crate::worker::Worker;

async fn create(api: &Api, token: &str) -> String {
    let request = api.request(Method::POST, "/api/orders").bearer_auth(token);
    let response = Response::of(request.json(&widget())).await;
    assert_eq!(response.status, 201, "{response:?}");
    response.header("location").unwrap().to_owned()
}

#[tokio::test]
async fn without_a_token_the_challenge_names_no_error() {
    let api = api().await;
    let response = api.get("/api/orders").await;
    response.problem(401, "/api/orders");
    insta::assert_json_snapshot!("no_token", response.snapshot());
    let basic = api
        .request(Method::GET, "/api/orders")
        .basic_auth("ada", Some("x"));
    assert_eq!(
        Response::of(basic).await.header("www-authenticate"),
        response.header("www-authenticate")
    );

    for path in ["/health", "/health/ready"] {
        assert_eq!(api.get(path).await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn each_request_needs_its_scope() {
    let api = api().await;
    let path = create(&api, &token("ada", "orders:write")).await;
    let (reader, writer) = (token("ada", "orders:read"), token("ada", "profile orders:write"));
    for (method, path, wrong, scope) in [
        (Method::GET, "/api/orders", &writer, "orders:read"),
        (Method::GET, "/api/orders/analytics", &writer, "orders:read"),
        (Method::GET, path.as_str(), &writer, "orders:read"),
        (Method::DELETE, path.as_str(), &reader, "orders:write"),
        (Method::GET, &format!("{path}/events"), &writer, "orders:read"),
        (Method::POST, &format!("{path}/retry"), &writer, "orders:admin"),
    ] {
        let response = send(&api, method.clone(), path, wrong).await;
        response.problem(403, path);
        let challenge = response.header("www-authenticate").unwrap();
        assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
        assert!(
            challenge.contains(&format!("scope=\"{scope}\"")),
            "{method} {path}: {challenge}"
        );
    }
    let post = api
        .request(Method::POST, "/api/orders")
        .bearer_auth(&reader)
        .json(&widget());
    insta::assert_json_snapshot!("insufficient_scope", Response::of(post).await.snapshot());
    for scope in ["", "orders:reads", "orders:read,orders:write", "ORDERS:READ"] {
        assert_eq!(list(&api, &token("ada", scope)).await.status, 403, "{scope}");
    }
    assert_eq!(send(&api, Method::DELETE, &path, &writer).await.status, 204);
}

#[tokio::test]
async fn an_order_of_another_customer_is_404() {
    let api = api().await;
    let both = "orders:read orders:write";
    let path = create(&api, &token("ada", both)).await;
    let grace = token("grace", both);
    let events = format!("{path}/events");
    for (method, path) in [
        (Method::GET, &path),
        (Method::DELETE, &path),
        (Method::GET, &events),
    ] {
        let foreign = send(&api, method, path, &grace).await;
        assert_eq!(foreign.problem(404, path), "There is no such order.");
    }
    assert_eq!(list(&api, &grace).await.body["data"], serde_json::json!([]));
    let totals = send(&api, Method::GET, "/api/orders/analytics", &grace).await;
    assert_eq!(totals.body["total_orders"], 0);

    let admin = token("root", "orders:admin");
    assert_eq!(send(&api, Method::GET, &path, &admin).await.status, 200);
    assert_eq!(list(&api, &admin).await.body["data"].as_array().unwrap().len(), 1);
    let totals = send(&api, Method::GET, "/api/orders/analytics", &admin).await;
    assert_eq!(totals.body["total_orders"], 1);
    assert_eq!(send(&api, Method::DELETE, &path, &admin).await.status, 204);
}

#[tokio::test]
async fn idempotency_keys_are_separate_for_each_customer() {
    let api = api().await;
    let post = |token: &str| {
        let request = api.request(Method::POST, "/api/orders").bearer_auth(token);
        Response::of(request.header("idempotency-key", "same").json(&widget()))
    };
    let ada = token("ada", "orders:write");
    let first = post(&ada).await;
    let other = post(&token("grace", "orders:write")).await;
    assert_eq!((first.status, other.status), (201, 201));
    assert_eq!(other.header("idempotency-replayed"), None);
    assert_ne!(first.header("location"), other.header("location"));
    let again = post(&ada).await;
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("location"), first.header("location"));
}

#[tokio::test]
async fn an_operator_retries_a_failed_order_of_any_customer() {
    let api = api().await;
    let path = create(&api, &token("ada", "orders:write")).await;
    let retry = format!("{path}/retry");
    let operator = token("operator", "orders:admin");
    let pending = send(&api, Method::POST, &retry, &operator).await;
    pending.problem(409, &retry);

    let worker = Worker::of(&api);
    let claimed = worker.claim(path.rsplit('/').next().unwrap()).await;
    worker.fail(&claimed).await;
    let retried = send(&api, Method::POST, &retry, &operator).await;
    assert_eq!(retried.status, 202, "{retried:?}");
    assert_eq!(retried.header("location"), Some(path.as_str()));
    assert_eq!(retried.body["status"], "pending");
}

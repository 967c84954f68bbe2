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
        (Method::GET, &format!("{path}/history"), &writer, "orders:read"),
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
    let (events, history) = (format!("{path}/events"), format!("{path}/history"));
    for (method, path) in [
        (Method::GET, &path),
        (Method::DELETE, &path),
        (Method::GET, &events),
        (Method::GET, &history),
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

/// `orders:observe` opens the orders of all customers to a look, and no action on any of them.
#[tokio::test]
async fn an_observer_reads_the_orders_of_all_customers_and_changes_none() {
    let api = api().await;
    let path = create(&api, &token("ada", "orders:write")).await;
    let observer = token("ops", "orders:observe");
    for path in [&path, &format!("{path}/history"), "/api/orders/analytics"] {
        assert_eq!(
            send(&api, Method::GET, path, &observer).await.status,
            200,
            "{path}"
        );
    }
    assert_eq!(
        list(&api, &observer).await.body["data"].as_array().unwrap().len(),
        1
    );
    for (method, path) in [
        (Method::POST, "/api/orders"),
        (Method::DELETE, path.as_str()),
        (Method::POST, &format!("{path}/retry")),
    ] {
        let refused = send(&api, method.clone(), path, &observer).await;
        refused.problem(403, path);
    }
    // With the scope of a customer it acts on its own orders, and still on no other's.
    let both = token("ops", "orders:observe orders:write");
    assert_eq!(send(&api, Method::DELETE, &path, &both).await.status, 404);
    let own = create(&api, &both).await;
    assert_eq!(send(&api, Method::DELETE, &own, &both).await.status, 204);
    let history = send(&api, Method::GET, &format!("{own}/history"), &both).await;
    assert_eq!(history.body["data"][1]["actor"], "customer:ops");
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
    let history = send(&api, Method::GET, &format!("{path}/history"), &operator).await;
    let last = history.body["data"].as_array().unwrap().last().unwrap();
    assert_eq!(
        (&last["from"], &last["to"], &last["actor"]),
        (&"failed".into(), &"pending".into(), &"operator:operator".into())
    );
}

//! What the log says about authentication and about operators.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::tokens::{SECRET, claims, hs256, list, send, signed, token};
use crate::response::Response;
use crate::service::{Api, widget};

/// The first line of this event.
async fn line(api: &Api, event: &str) -> Value {
    testkit::eventually(event, Duration::from_secs(30), async || {
        let log = api.log();
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().find(|line| line["event_name"] == event)
    })
    .await
}

/// Outside development, lines are JSON.
async fn api() -> Api {
    Api::with(&[
        ("ENVIRONMENT", "test"),
        ("AUTH", "jwt"),
        ("JWT_SECRET", SECRET),
        ("JWT_ISSUER", "https://id.example"),
        ("JWT_AUDIENCE", "orders"),
    ])
    .await
}

fn signed_for_orders(customer: &str, scope: &str) -> String {
    let mut claims = claims(customer, scope);
    claims["iss"] = json!("https://id.example");
    claims["aud"] = json!("orders");
    hs256(SECRET.as_bytes(), &claims)
}

#[tokio::test]
async fn a_start_without_authentication_is_logged() {
    let api = Api::start().await;
    testkit::eventually("the warning", Duration::from_secs(30), async || {
        api.log().contains("event_name=auth.disabled").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_failure_is_logged_with_its_reason_key_and_address() {
    let api = api().await;
    let header = json!({ "alg": "HS256", "kid": "k-1" });
    let forged = signed(&header, &claims("ada", "orders:read"), |_| vec![0; 32]);
    assert_eq!(list(&api, &forged).await.status, 401);
    let failed = line(&api, "auth.failed").await;
    assert_eq!(failed["severity"], "WARN");
    assert_eq!(failed["error.type"], "token_signature");
    assert_eq!(failed["http.auth.key_id"], "k-1");
    assert_eq!(failed["client.address"], "127.0.0.1");
    assert!(failed["trace_id"].is_string(), "{failed}");
    assert!(!api.log().contains(&forged));
}

#[tokio::test]
async fn a_missing_token_and_a_missing_scope_are_failures() {
    let api = api().await;
    assert_eq!(api.get("/api/orders").await.status, 401);
    assert_eq!(line(&api, "auth.failed").await["error.type"], "token_missing");
    assert_eq!(list(&api, &signed_for_orders("ada", "")).await.status, 403);
    testkit::eventually("the other failure", Duration::from_secs(30), async || {
        api.log()
            .contains(r#""error.type":"scope_missing""#)
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_cancellation_and_a_retry_name_their_actor() {
    let api = api().await;
    let create = async |token: &str| {
        let request = api.request(Method::POST, "/api/orders").bearer_auth(token);
        let response = Response::of(request.json(&widget())).await;
        assert_eq!(response.status, 201, "{response:?}");
        response.header("location").unwrap().to_owned()
    };
    let ada = signed_for_orders("ada", "orders:write");
    let path = create(&ada).await;
    assert_eq!(send(&api, Method::DELETE, &path, &ada).await.status, 204);
    let cancelled = line(&api, "order.cancelled").await;
    assert_eq!(cancelled["order.actor"], "customer:ada");
    assert!(path.ends_with(cancelled["order.id"].as_str().unwrap()));

    let path = create(&ada).await;
    let sql = api.database.connect().await.unwrap();
    let fail = "UPDATE orders SET status = 'failed', dispatch_after = NULL, failure_code = 'internal_error', \
                failure_detail = 'x', completed_at = now() WHERE status = 'pending'";
    assert_eq!(sql.execute(fail, &[]).await.unwrap(), 1);
    let operator = signed_for_orders("grace", "orders:admin");
    let retry = send(&api, Method::POST, &format!("{path}/retry"), &operator).await;
    assert_eq!(retry.status, 202, "{retry:?}");
    assert_eq!(line(&api, "order.retried").await["order.actor"], "operator:grace");
}

#[tokio::test]
async fn the_secret_before_the_present_one_is_accepted_while_it_is_set() {
    let old = "the secret of yesterday's tokens";
    let with = async |previous: &str| {
        let env = [
            ("AUTH", "jwt"),
            ("JWT_SECRET", SECRET),
            ("JWT_SECRET_PREVIOUS", previous),
        ];
        Api::with(&env).await
    };
    let of_yesterday = hs256(old.as_bytes(), &claims("ada", "orders:read"));
    let of_another = hs256(&[b'x'; 32], &claims("ada", "orders:read"));
    for (api, status) in [(with(old).await, 200), (with("").await, 401)] {
        assert_eq!(list(&api, &token("ada", "orders:read")).await.status, 200);
        assert_eq!(list(&api, &of_yesterday).await.status, status);
        assert_eq!(list(&api, &of_another).await.status, 401);
    }
}

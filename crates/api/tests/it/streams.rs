//! Bounds of event streams and waits, and of readiness requests.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::auth::tokens::{SECRET, claims, hs256, now, send, token};
use crate::response::Response;
use crate::service::{Api, widget};

const DEADLINE: Duration = Duration::from_secs(30);

async fn api(more: &[(&str, &str)]) -> Api {
    let jwt = [("AUTH", "jwt"), ("JWT_SECRET", SECRET)];
    Api::with(&[&jwt, more].concat()).await
}

/// A new order of the token's customer; its path.
async fn order(api: &Api, token: &str) -> String {
    let request = api.request(Method::POST, "/api/orders").json(&widget());
    let created = Response::of(request.bearer_auth(token)).await;
    format!("/api/orders/{}", created.body["id"].as_str().unwrap())
}

#[tokio::test]
async fn open_streams_and_waits_are_limited_per_customer_and_in_total() {
    let limits = [("EVENT_STREAMS_PER_CUSTOMER", "2"), ("EVENT_STREAMS_MAX", "3")];
    let api = api(&limits).await;
    let [ada, grace] = ["ada", "grace"].map(|name| token(name, "orders:read orders:write"));
    let (of_ada, of_grace) = (order(&api, &ada).await, order(&api, &grace).await);
    let open = async |path: &str, token: &str| {
        let request = api.request(Method::GET, &format!("{path}/events"));
        request.bearer_auth(token).send().await.unwrap()
    };
    let streams = [open(&of_ada, &ada).await, open(&of_ada, &ada).await];
    assert!(streams.iter().all(|stream| stream.status() == 200));
    for more in ["/events", "?wait=30"] {
        let refused = send(&api, Method::GET, &format!("{of_ada}{more}"), &ada).await;
        assert_eq!(refused.status, 429, "{refused:?}");
        assert_eq!(refused.header("retry-after"), Some("1"));
    }
    assert_eq!(send(&api, Method::GET, &of_ada, &ada).await.status, 200);
    let other = open(&of_grace, &grace).await;
    assert_eq!(other.status(), 200);
    assert_eq!(open(&of_grace, &grace).await.status(), 429);
    drop(streams);
    testkit::eventually("room for a stream", DEADLINE, async || {
        (open(&of_grace, &grace).await.status() == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_stream_and_a_wait_end_with_the_token() {
    let api = api(&[]).await;
    let mut claims = claims("ada", "orders:read orders:write");
    // Accepted for ten more seconds.
    claims["exp"] = json!(now() - 20);
    let token = hs256(SECRET.as_bytes(), &claims);
    let path = order(&api, &token).await;
    let (events, waiting) = (format!("{path}/events"), format!("{path}?wait=50"));
    let stream = send(&api, Method::GET, &events, &token);
    let wait = send(&api, Method::GET, &waiting, &token);
    let both = async { tokio::join!(stream, wait) };
    let (stream, wait) = tokio::time::timeout(DEADLINE, both).await.expect("the end");
    assert!(stream.text.contains("\"pending\""), "{stream:?}");
    assert_eq!(wait.body["status"], "pending");
}

#[tokio::test]
async fn a_flood_of_readiness_requests_neither_fails_it_nor_makes_connections() {
    let api = api(&[]).await;
    let sql = api.database.connect().await.unwrap();
    let backends = async || {
        let query = "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'throughline-api%' AND datname = current_database() ORDER BY pid";
        let rows = sql.query(query, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect::<Vec<i32>>()
    };
    assert_eq!(api.get("/health/ready").await.status, 200);
    let before = backends().await;
    assert!(!before.is_empty());
    for _ in 0..20 {
        let flood = join_all((0..200).map(|_| api.get("/health/ready"))).await;
        assert!(flood.iter().all(|response| response.status == 200));
    }
    assert_eq!(backends().await, before);
}

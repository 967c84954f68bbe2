//! The pages load nothing from other origins, and the OpenAPI document is right.

use reqwest::Method;

use crate::auth::tokens::{SECRET, send, token};
use crate::service::Api;

#[tokio::test]
async fn pages_load_nothing_from_elsewhere() {
    let api = Api::start().await;
    for path in ["/", "/docs"] {
        let page = api.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(page.header("x-content-type-options"), Some("nosniff"));
        let policy = page.header("content-security-policy").unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert!(!page.text.contains("//"), "{path} names another origin");
        let assets = page
            .text
            .split(['"', '\''])
            .filter(|text| text.starts_with('/') && (text.ends_with(".js") || text.ends_with(".css")));
        for asset in assets {
            assert_eq!(api.get(asset).await.status, 200, "{asset}");
        }
    }
}

#[tokio::test]
async fn the_document_that_is_served_is_the_committed_one() {
    let api = Api::start().await;
    let served = api.get("/api/openapi.json").await;
    assert_eq!(served.header("content-type"), Some("application/json"));
    let committed = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");
    let same = served.text == std::fs::read_to_string(committed).unwrap();
    assert!(same, "crates/api/openapi.json is out of date");
    assert_eq!(served.body["openapi"], "3.1.0");
}

#[tokio::test]
async fn every_example_of_a_new_order_is_accepted() {
    let api = Api::start().await;
    let document = api.get("/api/openapi.json").await.body;
    let examples = document.pointer("/components/schemas/NewOrder/examples");
    let examples = examples.unwrap().as_array().unwrap();
    assert!(!examples.is_empty());
    for example in examples {
        let response = api.post("/api/orders", example).await;
        assert_eq!(response.status, 201, "{example}: {response:?}");
    }
}

#[tokio::test]
async fn only_operators_see_the_state_of_the_queue() {
    let api = Api::with(&[("AUTH", "jwt"), ("JWT_SECRET", SECRET)]).await;
    let path = "/console/status";
    let read = send(&api, Method::GET, path, &token("ada", "orders:read")).await;
    read.problem(403, path);
    let admin = send(&api, Method::GET, path, &token("root", "orders:admin")).await;
    assert_eq!(admin.body["waiting"], 0);
    assert_eq!(admin.body["workers"], 0);
    assert_eq!(admin.body["oldest_ms"], serde_json::Value::Null);
}

//! The overview, and what all pages have.

use super::browser::{Browser, api};
use crate::auth::tokens::token;
use crate::service::Api;
use crate::worker::Worker;

#[tokio::test]
async fn an_empty_service_has_a_page_that_says_so() {
    let api = Api::start().await;
    let page = Browser::at(&api).get("/").await;
    assert_eq!(page.status, 200);
    for text in [
        "no worker has written a sample",
        "No order has failed.",
        "No samples in the last 15 minutes.",
    ] {
        assert!(page.text.contains(text), "{text}: {}", page.text);
    }
    assert!(page.text.contains("aria-current=\"page\""));
    assert!(
        !page.text.contains("style="),
        "a style attribute needs unsafe-inline"
    );
    assert_eq!(page.header("cache-control"), Some("no-store"));
}

#[tokio::test]
async fn those_who_may_only_look_are_offered_no_action() {
    let api = api().await;
    let order = crate::response::Response::of(
        api.request(reqwest::Method::POST, "/api/orders")
            .bearer_auth(token("ada", "orders:write"))
            .json(&crate::service::widget()),
    );
    let id = order.await.body["id"].as_str().unwrap().to_owned();
    let worker = Worker::of(&api);
    worker.fail(&worker.claim(&id).await).await;
    let retry = format!("href=\"/orders/{id}/retry\"");
    let admin = Browser::signed_in(&api, &token("root", "orders:admin")).await;
    assert!(admin.get("/").await.text.contains(&retry));
    let observer = Browser::signed_in(&api, &token("eve", "orders:observe")).await;
    let page = observer.get("/").await;
    assert!(page.text.contains("read-only") && page.text.contains("payment_timeout"));
    assert!(!page.text.contains(&retry), "{}", page.text);
}

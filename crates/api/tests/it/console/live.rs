//! Live parts by server-sent events.

use std::time::Duration;

use reqwest::Method;
use tokio::time::timeout;

use super::browser::{Browser, api};
use crate::auth::tokens::token;
use crate::worker::Worker;

const SECOND: Duration = Duration::from_secs(1);

/// Reads a stream until it has this text; `None` if it ends before, or does not have it in time.
async fn read_until(stream: &mut reqwest::Response, text: &str) -> Option<String> {
    let mut read = String::new();
    let reading = async {
        while let Ok(Some(chunk)) = stream.chunk().await {
            read.push_str(&String::from_utf8_lossy(&chunk));
            if read.contains(text) {
                return true;
            }
        }
        false
    };
    let found = timeout(60 * SECOND, reading).await.unwrap_or(false);
    found.then_some(read)
}

#[tokio::test]
async fn a_failure_reaches_an_open_page_and_the_stream_ends_with_the_session() {
    let api = api().await;
    let browser = Browser::signed_in(&api, &token("root", "orders:admin")).await;
    let mut stream = browser
        .request(Method::GET, "/live/overview")
        .send()
        .await
        .unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let first = read_until(&mut stream, "id=\"recent-failures\"").await.unwrap();
    assert!(
        first.contains("id=\"status\"") && first.contains("No order has failed."),
        "{first}"
    );

    let order = api
        .request(Method::POST, "/api/orders")
        .bearer_auth(token("ada", "orders:write"));
    let order = crate::response::Response::of(order.json(&crate::service::widget())).await;
    let id = order.body["id"].as_str().unwrap();
    let worker = Worker::of(&api);
    worker.fail(&worker.claim(id).await).await;
    assert!(read_until(&mut stream, id).await.is_some());

    let csrf = browser.csrf().await;
    browser.post("/sign-out", &[("csrf", &csrf)]).await;
    let end = async { while let Ok(Some(_)) = stream.chunk().await {} };
    assert!(timeout(60 * SECOND, end).await.is_ok(), "the stream goes on");
    let again = browser
        .request(Method::GET, "/live/overview")
        .send()
        .await
        .unwrap();
    assert_eq!(again.status(), 401);
}

#[tokio::test]
async fn shutdown_ends_live_streams() {
    let mut api = api().await;
    let browser = Browser::signed_in(&api, &token("root", "orders:observe")).await;
    let mut stream = browser.request(Method::GET, "/live/frame").send().await.unwrap();
    assert!(read_until(&mut stream, "id=\"status\"").await.is_some());
    api.terminate();
    assert_eq!(api.ended().await, Some(0));
}

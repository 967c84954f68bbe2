//! The API for operators: filters, bulk operations, and the pause of the queue.

use std::time::Duration;

use domain::OrderId;
use reqwest::Method;
use serde_json::{Value, json};

use crate::response::Response;
use crate::service::Api;
use crate::worker::Worker;

async fn post(api: &Api, path: &str) -> Response {
    Response::of(api.request(Method::POST, path)).await
}

#[tokio::test]
async fn filters_combine_and_the_next_page_has_the_same() {
    let api = Api::start().await;
    let worker = Worker::of(&api);
    let mut failed = Vec::new();
    for _ in 0..3 {
        let id = api.order().await;
        worker.fail(&worker.claim(&id).await).await;
        failed.push(id);
    }
    api.order().await;
    failed.reverse();
    let filters = "failure_code=payment_timeout&payment_status=not_required\
        &created_after=2020-01-01T00%3A00%3A00%2B02%3A00&customer=anonymous&status=failed";
    let first = api.get(&format!("/api/orders?limit=2&{filters}")).await;
    assert_eq!(first.ids(), failed[..2], "{first:?}");
    let link = first.header("link").unwrap();
    let next = link
        .strip_prefix('<')
        .unwrap()
        .strip_suffix(">; rel=\"next\"")
        .unwrap();
    assert!(next.contains(filters), "{next}");
    assert_eq!(api.get(next).await.ids(), failed[2..]);
    for nothing in [
        "created_before=2020-01-01T00:00:00Z",
        "failure_code=of_tomorrow",
        "customer=eve",
    ] {
        assert_eq!(
            api.get(&format!("/api/orders?{nothing}")).await.ids().len(),
            0,
            "{nothing}"
        );
    }
}

#[tokio::test]
async fn an_invalid_filter_is_named() {
    let api = Api::start().await;
    for (query, name) in [
        ("payment_status=paid", "payment_status"),
        ("failure_code=A", "failure_code"),
        ("failure_code=", "failure_code"),
        ("created_after=yesterday", "created_after"),
        ("created_before=2026-02-30T00:00:00Z", "created_before"),
        ("customer=", "customer"),
    ] {
        let response = api.get(&format!("/api/orders?{query}")).await;
        let detail = response.problem(400, "/api/orders");
        assert!(detail.starts_with(&format!("`{name}` takes ")), "{detail}");
    }
    let twice = api.get("/api/orders?status=failed&status=failed").await;
    twice.problem(400, "/api/orders");
}

#[tokio::test]
async fn a_bulk_retry_is_previewed_started_and_followed() {
    let api = Api::start().await;
    let worker = Worker::of(&api);
    let id = api.order().await;
    worker.fail(&worker.claim(&id).await).await;
    let retry = "/api/orders/retry";
    let preview = api
        .post(
            retry,
            &json!({ "failure_code": "payment_timeout", "dry_run": true }),
        )
        .await;
    insta::assert_json_snapshot!("preview", preview.snapshot());
    assert_eq!(api.get("/api/operations").await.body["data"], json!([]));

    let started = api
        .post(retry, &json!({ "failure_code": "payment_timeout" }))
        .await;
    assert_eq!((started.status, &started.body["matched"]), (202, &json!(1)));
    let path = format!("/api/operations/{}", started.body["operation"].as_str().unwrap());
    assert_eq!(started.header("location"), Some(path.as_str()));
    let running = api.get(&path).await;
    assert_eq!(
        (&running.body["done"], &running.body["finished_at"]),
        (&json!(0), &Value::Null)
    );
    while worker.store.execute_operation(10).await.unwrap().is_some() {}
    let finished = api.get(&path).await;
    insta::assert_json_snapshot!("operation", finished.snapshot());
    assert_eq!(
        api.get(&format!("/api/orders/{id}")).await.body["status"],
        "pending"
    );
    let listed = api.get("/api/operations").await;
    assert_eq!(listed.body["data"], json!([finished.body]));
    for unknown in [OrderId::generate().to_string(), "x".to_owned()] {
        let path = format!("/api/operations/{unknown}");
        assert_eq!(
            api.get(&path).await.problem(404, &path),
            "There is no such operation."
        );
    }
}

#[tokio::test]
async fn a_bulk_cancellation_leaves_other_orders() {
    let api = Api::start().await;
    let worker = Worker::of(&api);
    let (pending, claimed) = (api.order().await, api.order().await);
    worker.claim(&claimed).await;
    let cancel = "/api/orders/cancel";
    let started = api.post(cancel, &json!({ "customer": "anonymous" })).await;
    assert_eq!((started.status, &started.body["matched"]), (202, &json!(1)));
    while worker.store.execute_operation(10).await.unwrap().is_some() {}
    let status = async |id: &str| api.get(&format!("/api/orders/{id}")).await.body["status"].clone();
    assert_eq!(status(&pending).await, "cancelled");
    assert_eq!(status(&claimed).await, "processing");
    let empty = api.post(cancel, &json!({})).await;
    insta::assert_json_snapshot!("no_filter", empty.snapshot());
    let other = api.post(cancel, &json!({ "status": "failed" })).await;
    assert_eq!(other.body["errors"][0]["pointer"], "/status");
}

#[tokio::test]
async fn a_pause_is_reported_by_readiness_until_it_ends() {
    let api = Api::start().await;
    let queue = async |state: &str| {
        testkit::eventually("readiness to report it", Duration::from_secs(30), async || {
            let ready = api.get("/health/ready").await;
            assert_eq!(ready.status, 200);
            (ready.body["checks"]["queue"] == state).then_some(())
        })
        .await;
    };
    queue("running").await;
    for _ in 0..2 {
        assert_eq!(post(&api, "/api/queue/pause").await.status, 204);
    }
    queue("paused").await;
    api.order().await;
    for _ in 0..2 {
        assert_eq!(post(&api, "/api/queue/resume").await.status, 204);
    }
    queue("running").await;
    let operations = api.get("/api/operations").await;
    let kinds: Vec<&Value> = operations.body["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|operation| &operation["kind"])
        .collect();
    assert_eq!(kinds, ["resume", "pause"]);
}

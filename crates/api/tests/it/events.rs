//! Waiting for an order by `?wait=`, and following it by server-sent events.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use crate::limits::raw;
use crate::response::Response;
use crate::service::Api;
use crate::worker::Worker;

const DEADLINE: Duration = Duration::from_secs(30);

/// A stream of events, read as it comes.
struct Events {
    response: reqwest::Response,
    text: String,
}

impl Events {
    async fn of(api: &Api, id: &str, seen: Option<&str>) -> Self {
        let mut request = api.request(Method::GET, &format!("/api/orders/{id}/events"));
        if let Some(seen) = seen {
            request = request.header("Last-Event-ID", seen);
        }
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Self {
            response,
            text: String::new(),
        }
    }

    /// The next event's id and data; `None` at the end.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let line = block.lines().find_map(|line| line.strip_prefix(name));
                    line.map(str::to_owned)
                };
                let event = field("id: ").zip(field("data: "));
                self.text = rest.to_owned();
                if let Some((id, data)) = event {
                    return Some((id, serde_json::from_str(&data).unwrap()));
                }
            }
            let chunk = tokio::time::timeout(DEADLINE, self.response.chunk());
            let chunk = chunk.await.expect("an event").unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn status(&mut self) -> Option<String> {
        let (_, data) = self.next().await?;
        Some(data["status"].as_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn each_transition_is_an_event_until_the_order_is_final() {
    let api = Api::start().await;
    let (id, worker) = (api.order().await, Worker::of(&api));
    let mut events = Events::of(&api, &id, None).await;
    assert_eq!(events.status().await.as_deref(), Some("pending"));
    let claimed = worker.claim(&id).await;
    assert_eq!(events.status().await.as_deref(), Some("processing"));
    worker.fail(&claimed).await;
    let (_, mut data) = events.next().await.unwrap();
    assert_eq!(data["order_id"], id.as_str());
    data["order_id"] = "[id]".into();
    data["updated_at"] = "[time]".into();
    insta::assert_json_snapshot!("event", data);
    assert_eq!(events.next().await, None);
}

#[tokio::test]
async fn a_client_that_reconnects_gets_only_newer_events() {
    let api = Api::start().await;
    let (id, worker) = (api.order().await, Worker::of(&api));
    let mut events = Events::of(&api, &id, None).await;
    let (pending, _) = events.next().await.unwrap();
    drop(events);

    let mut again = Events::of(&api, &id, Some(&pending)).await;
    let claimed = worker.claim(&id).await;
    let (processing, data) = again.next().await.unwrap();
    assert_eq!(data["status"], "processing");
    drop(again);

    worker.complete(&claimed).await;
    let mut late = Events::of(&api, &id, Some(&processing)).await;
    let (last, data) = late.next().await.unwrap();
    assert_eq!(data["status"], "completed");
    assert_eq!(late.next().await, None);

    let path = format!("/api/orders/{id}/events");
    let done = api.request(Method::GET, &path).header("last-event-id", last);
    assert_eq!(Response::of(done).await.status, 204);
    let garbled = api.request(Method::GET, &path).header("last-event-id", "x");
    Response::of(garbled).await.problem(400, &path);
}

#[tokio::test]
async fn a_last_event_id_from_the_future_is_ignored() {
    let api = Api::start().await;
    let (id, worker) = (api.order().await, Worker::of(&api));
    let seen = i64::MAX.to_string();
    let mut events = Events::of(&api, &id, Some(&seen)).await;
    assert_eq!(events.status().await.as_deref(), Some("pending"));
    let claimed = worker.claim(&id).await;
    assert_eq!(events.status().await.as_deref(), Some("processing"));
    worker.complete(&claimed).await;
    assert_eq!(events.status().await.as_deref(), Some("completed"));
    assert_eq!(events.status().await, None);
    let mut late = Events::of(&api, &id, Some(&seen)).await;
    assert_eq!(late.status().await.as_deref(), Some("completed"));
    assert_eq!(late.status().await, None);
}

#[tokio::test]
async fn a_clock_that_goes_back_does_not_hide_the_end() {
    let api = Api::start().await;
    let (id, worker) = (api.order().await, Worker::of(&api));
    let claimed = worker.claim(&id).await;
    let sql = api.database.connect().await.unwrap();
    sql.batch_execute("UPDATE orders SET updated_at = now() + interval '1 hour'")
        .await
        .unwrap();
    let mut events = Events::of(&api, &id, None).await;
    assert_eq!(events.status().await.as_deref(), Some("processing"));
    worker.complete(&claimed).await;
    assert_eq!(events.status().await.as_deref(), Some("completed"));
    assert_eq!(events.status().await, None);
}

#[tokio::test]
async fn a_head_request_for_events_keeps_the_connection_usable() {
    let api = Api::start().await;
    let id = api.order().await;
    let two = format!(
        "HEAD /api/orders/{id}/events HTTP/1.1\r\nhost: localhost\r\n\r\n\
         GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    );
    let responses = raw(&api, two.as_bytes()).await;
    let (head, health) = responses.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{responses}");
    assert!(head.contains("content-type: text/event-stream"), "{responses}");
    assert!(health.starts_with("HTTP/1.1 200 "), "{responses}");
}

#[tokio::test]
async fn events_of_no_order_are_404() {
    let api = Api::start().await;
    let path = "/api/orders/0192e4a0-0000-7000-8000-000000000000/events";
    api.get(path).await.problem(404, path);
}

#[tokio::test]
async fn waiting_ends_when_the_order_is_final_or_after_the_timeout() {
    let api = Api::with(&[("HTTP_REQUEST_TIMEOUT", "1s")]).await;
    let (id, worker) = (api.order().await, Worker::of(&api));
    let path = format!("/api/orders/{id}");
    let waiting = tokio::spawn(Response::of(api.request(Method::GET, &format!("{path}?wait=30"))));
    let claimed = worker.claim(&id).await;
    let timed_out = api.get(&format!("{path}?wait=2")).await;
    assert_eq!(timed_out.body["status"], "processing");
    worker.complete(&claimed).await;
    let response = waiting.await.unwrap();
    assert_eq!(
        (response.status, &response.body["status"]),
        (200, &"completed".into())
    );
    assert_eq!(api.get(&format!("{path}?wait=30")).await.text, response.text);

    for wait in ["51", "-1", "1.5", "soon", ""] {
        let response = api.get(&format!("{path}?wait={wait}")).await;
        assert!(response.problem(400, &path).contains("`wait`"), "{wait}");
    }
    let nothing = "/api/orders/0192e4a0-0000-7000-8000-000000000000";
    api.get(&format!("{nothing}?wait=30")).await.problem(404, nothing);
}

#[tokio::test]
async fn without_redis_waiting_still_works() {
    let unreachable = format!("redis://127.0.0.1:{}", testkit::free_port().unwrap());
    let api = Api::with(&[("REDIS_URL", &unreachable)]).await;
    let (id, worker) = (api.order().await, Worker::silent(&api));
    let mut events = Events::of(&api, &id, None).await;
    assert_eq!(events.status().await.as_deref(), Some("pending"));
    let path = format!("/api/orders/{id}?wait=30");
    let waiting = tokio::spawn(Response::of(api.request(Method::GET, &path)));
    let claimed = worker.claim(&id).await;
    worker.complete(&claimed).await;
    while let Some(status) = events.status().await {
        assert!(matches!(status.as_str(), "processing" | "completed"), "{status}");
    }
    assert_eq!(waiting.await.unwrap().body["status"], "completed");
    let ready = api.get("/health/ready").await;
    insta::assert_json_snapshot!("degraded", ready.snapshot());
}

#[tokio::test]
async fn waiting_clients_hold_no_connection_to_postgresql() {
    let api = Api::with(&[("DATABASE_POOL_SIZE", "1")]).await;
    let (id, worker) = (api.order().await, Worker::of(&api));
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let mut events = Events::of(&api, &id, None).await;
        assert_eq!(events.status().await.as_deref(), Some("pending"));
        waiting.push(events);
    }
    assert_eq!(api.get("/api/orders").await.status, 200);
    let claimed = worker.claim(&id).await;
    worker.complete(&claimed).await;
    for events in &mut waiting {
        let mut last = None;
        while let Some(status) = events.status().await {
            last = Some(status);
        }
        assert_eq!(last.as_deref(), Some("completed"));
    }
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_waiting_clients() {
    let mut api = Api::start().await;
    let id = api.order().await;
    let mut events = Events::of(&api, &id, None).await;
    assert_eq!(events.status().await.as_deref(), Some("pending"));
    let waiting = tokio::spawn(Response::of(
        api.request(Method::GET, &format!("/api/orders/{id}?wait=50")),
    ));
    api.terminate();
    assert_eq!(events.next().await, None);
    assert_eq!(waiting.await.unwrap().body["status"], "pending");
    assert_eq!(api.ended().await, Some(0));
}

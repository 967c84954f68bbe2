//! Clients that hold a connection without progress, and clients that disconnect.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use crate::service::Api;

const DEADLINE: Duration = Duration::from_secs(30);
/// The service closes a connection without progress after the sum of these.
const SHORT: [(&str, &str); 2] = [("HTTP_KEEP_ALIVE", "1s"), ("HTTP_REQUEST_TIMEOUT", "2s")];

async fn connect(api: &Api, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(api.address()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Reads until `end` is received, and returns all.
pub(crate) async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text: Vec<u8> = Vec::new();
    let read = async {
        loop {
            let mut bytes = [0; 4096];
            let n = stream.read(&mut bytes).await.unwrap();
            assert!(n > 0, "the connection ended: {}", String::from_utf8_lossy(&text));
            // What was received before is not searched again: it may be megabytes.
            let from = text.len().saturating_sub(end.len());
            text.extend_from_slice(&bytes[..n]);
            if text[from..].windows(end.len()).any(|part| part == end.as_bytes()) {
                return;
            }
        }
    };
    tokio::time::timeout(DEADLINE, read).await.expect(end);
    String::from_utf8(text).unwrap()
}

/// Sends `bytes` repeatedly until the connection is closed.
async fn cut_off_while_sending(stream: &TcpStream, bytes: &[u8]) {
    testkit::eventually("the connection to be cut off", DEADLINE, || {
        let sent = stream.try_write(bytes);
        let closed = sent.is_err_and(|error| error.kind() != ErrorKind::WouldBlock);
        std::future::ready(closed.then_some(()))
    })
    .await;
}

#[tokio::test]
async fn the_rest_of_a_rejected_body_does_not_hold_the_connection() {
    let api = Api::with(&SHORT).await;
    for (path, content_type, status) in [
        ("/api/orders", "text/plain", 415),
        ("/api/orders", "application/json", 408),
        ("/api/nothing", "application/json", 404),
    ] {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\ntransfer-encoding: chunked\r\n\r\n1\r\n \r\n"
        );
        let mut stream = connect(&api, &head).await;
        let response = read_until(&mut stream, "\"trace_id\"").await;
        assert!(response.starts_with(&format!("HTTP/1.1 {status} ")), "{response}");
        cut_off_while_sending(&stream, b"1\r\n \r\n").await;
    }
}

#[tokio::test]
async fn a_later_head_that_never_ends_does_not_hold_the_connection() {
    let api = Api::with(&SHORT).await;
    let good = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut stream = connect(&api, good).await;
    read_until(&mut stream, "{\"status\":\"ok\"}").await;
    cut_off_while_sending(&stream, b"G").await;
}

#[tokio::test]
async fn a_response_that_is_not_read_does_not_hold_the_connection() {
    let api = Api::with(&SHORT).await;
    let item = json!({ "product_name": "x".repeat(255), "quantity": 1, "unit_price": "1" });
    for _ in 0..30 {
        let response = api
            .post("/api/orders", &json!({ "items": vec![&item; 100] }))
            .await;
        assert_eq!(response.status, 201, "{response:?}");
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(api.address().parse().unwrap()).await.unwrap();
    // More than fits into all buffers on the path.
    let list = "GET /api/orders?limit=100 HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(16);
    stream.write_all(list.as_bytes()).await.unwrap();
    cut_off_while_sending(&stream, b"G").await;
    assert_eq!(api.get("/health").await.status, 200);
}

#[tokio::test]
async fn a_client_that_waits_for_an_order_is_not_cut_off() {
    let api = Api::with(&SHORT).await;
    let id = api.order().await;
    let response = api.get(&format!("/api/orders/{id}?wait=5")).await;
    assert_eq!(response.status, 200, "{response:?}");
}

#[tokio::test]
async fn a_client_that_disconnects_ends_its_request() {
    let lens = testkit::lens().await.unwrap();
    let url = lens.otlp_http_url();
    let api = Api::with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &url),
        ("OTEL_BSP_SCHEDULE_DELAY", "50"),
    ])
    .await;
    let id = api.order().await;
    let wait = format!("GET /api/orders/{id}?wait=50 HTTP/1.1\r\nhost: localhost\r\n\r\n");
    drop(connect(&api, &wait).await);
    lens.trace_with_span("GET /api/orders/{id}", |trace| {
        let request = trace
            .spans
            .iter()
            .find(|span| span.name == "GET /api/orders/{id}")
            .unwrap();
        request.attributes.get_str("error.type") == Some("cancelled")
    })
    .await;
}

#[tokio::test]
async fn an_order_whose_client_disconnects_is_dispatched_at_once() {
    let api = Api::start().await;
    let body = "{\"product_name\":\"Widget\",\"amount\":\"1\"}";
    let length = body.len();
    let post = format!(
        "POST /api/orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    drop(connect(&api, &post).await);
    let queue: queue::Queue<domain::ProcessOrder> = queue::Queue::connect_lazy(api.queue_config()).unwrap();
    testkit::eventually("the order to be in the queue", DEADLINE, async || {
        (queue.stats().await.unwrap().depth == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_until_one_ends() {
    // Fewer than threads.
    let api = Api::with(&[("HTTP_MAX_CONNECTIONS", "1")]).await;
    let live = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut first = connect(&api, live).await;
    read_until(&mut first, "{\"status\":\"ok\"}").await;
    let mut second = connect(&api, live).await;
    for _ in 0..20 {
        first.write_all(live.as_bytes()).await.unwrap();
        read_until(&mut first, "{\"status\":\"ok\"}").await;
    }
    let early = second.try_read(&mut [0; 1]).map_err(|error| error.kind());
    assert_eq!(early, Err(ErrorKind::WouldBlock));
    drop(first);
    read_until(&mut second, "{\"status\":\"ok\"}").await;
}

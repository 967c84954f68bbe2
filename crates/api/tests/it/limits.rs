//! Limits of sizes and times.

use std::time::Duration;

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::response::Response;
use crate::service::Api;

/// Sends `request`, and returns all until the server closes the connection.
pub(crate) async fn raw(api: &Api, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(api.address()).await.unwrap();
    // The server may respond and close before all is written.
    let _ = stream.write_all(request).await;
    let mut response = Vec::new();
    let read = stream.read_to_end(&mut response);
    let _ = tokio::time::timeout(Duration::from_secs(30), read)
        .await
        .expect("the connection closes");
    String::from_utf8_lossy(&response).into_owned()
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413() {
    let api = Api::with(&[("HTTP_BODY_LIMIT", "1KiB")]).await;
    let post = |body: reqwest::Body| {
        let request = api.request(Method::POST, "/api/orders").body(body);
        Response::of(request.header("content-type", "application/json"))
    };
    let by_length = post("x".repeat(1025).into()).await;
    by_length.problem(413, "/api/orders");
    insta::assert_json_snapshot!("too_large", by_length.snapshot());

    let chunks = "POST /api/orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
                  400\r\n";
    let body = [chunks.as_bytes(), &[b' '; 1024], b"\r\n1\r\n \r\n0\r\n\r\n"].concat();
    let response = raw(&api, &body).await;
    assert!(response.starts_with("HTTP/1.1 413 "), "{response}");
}

#[tokio::test]
async fn a_slow_body_is_cut_off() {
    let api = Api::with(&[("HTTP_REQUEST_TIMEOUT", "300ms")]).await;
    let head = b"POST /api/orders HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    let response = raw(&api, head).await;
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    assert!(response.contains("application/problem+json"), "{response}");
    assert!(
        response.contains("The body was not received in time."),
        "{response}"
    );
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let api = Api::with(&[("HTTP_REQUEST_TIMEOUT", "300ms")]).await;
    let response = raw(&api, b"POST /api/orders HTTP/1.1\r\nhost: localhost\r\n").await;
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
}

#[tokio::test]
async fn a_request_that_times_out_is_503() {
    let api = Api::with(&[("HTTP_REQUEST_TIMEOUT", "300ms")]).await;
    let sql = api.database.connect().await.unwrap();
    sql.batch_execute("BEGIN; LOCK TABLE orders").await.unwrap();
    let response = api.get("/api/orders").await;
    assert_eq!(
        response.problem(503, "/api/orders"),
        "The request took too long. Try again."
    );
    assert_eq!(response.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let api = Api::start().await;
    let long = "x".repeat(300_000);
    for head in [
        format!("GET /api/orders HTTP/1.1\r\nhost: localhost\r\nx: {long}\r\n\r\n"),
        format!("GET /api/orders?cursor={long} HTTP/1.1\r\nhost: localhost\r\n\r\n"),
        format!(
            "GET /api/orders HTTP/1.1\r\nhost: localhost\r\n{}\r\n",
            "x: y\r\n".repeat(200)
        ),
    ] {
        let response = raw(&api, head.as_bytes()).await;
        assert!(
            response.is_empty() || response.starts_with("HTTP/1.1 4"),
            "{response}"
        );
    }
    assert_eq!(api.get("/health").await.status, 200);
}

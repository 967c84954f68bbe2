//! What a client cannot do to the service: send too much, or too slowly, or wait for ever.

use std::time::Duration;

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::answer::Answer;
use crate::service::Api;

/// Sends this and no more; what comes back until the server closes the connection.
pub(crate) async fn raw(api: &Api, request: &[u8]) -> String {
    let mut stream = TcpStream::connect(api.address()).await.unwrap();
    // A server that has refused already may close before all is written.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(Duration::from_secs(30), read)
        .await
        .expect("the connection closes");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn a_body_that_is_too_large_is_413() {
    let api = Api::with(&[("HTTP_BODY_LIMIT", "1KiB")]).await;
    let post = |body: reqwest::Body| {
        let request = api.request(Method::POST, "/api/orders").body(body);
        Answer::of(request.header("content-type", "application/json"))
    };
    let announced = post("x".repeat(1025).into()).await;
    announced.problem(413, "/api/orders");
    insta::assert_json_snapshot!("too_large", announced.snapshot());

    let chunks = "POST /api/orders HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n\
                  400\r\n";
    let body = [chunks.as_bytes(), &[b' '; 1024], b"\r\n1\r\n \r\n0\r\n\r\n"].concat();
    let answer = raw(&api, &body).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_slow_body_is_cut_off() {
    let api = Api::with(&[("HTTP_REQUEST_TIMEOUT", "300ms")]).await;
    let head = b"POST /api/orders HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    let answer = raw(&api, head).await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("application/problem+json"), "{answer}");
    assert!(answer.contains("The body did not come in time."), "{answer}");
}

#[tokio::test]
async fn a_slow_head_is_cut_off() {
    let api = Api::with(&[("HTTP_REQUEST_TIMEOUT", "300ms")]).await;
    let answer = raw(&api, b"POST /api/orders HTTP/1.1\r\nhost: a\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
}

#[tokio::test]
async fn a_slow_answer_is_given_up_with_503() {
    let api = Api::with(&[("HTTP_REQUEST_TIMEOUT", "300ms")]).await;
    let sql = api.database.connect().await.unwrap();
    sql.batch_execute("BEGIN; LOCK TABLE orders").await.unwrap();
    let answer = api.get("/api/orders").await;
    assert_eq!(
        answer.problem(503, "/api/orders"),
        "The request took too long. Try again."
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let api = Api::start().await;
    let long = "x".repeat(300_000);
    for head in [
        format!("GET /api/orders HTTP/1.1\r\nhost: a\r\nx: {long}\r\n\r\n"),
        format!("GET /api/orders?cursor={long} HTTP/1.1\r\nhost: a\r\n\r\n"),
        format!(
            "GET /api/orders HTTP/1.1\r\nhost: a\r\n{}\r\n",
            "x: y\r\n".repeat(200)
        ),
    ] {
        let answer = raw(&api, head.as_bytes()).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }
    assert_eq!(api.get("/health").await.status, 200);
}

//! What hostile clients can make the service hold: 64 MB beyond its idle size without a token, 128 MB with
//! one. Kernel buffers are not counted; SO_SNDBUF bounds them.

use std::io::ErrorKind;

use futures_util::future::join_all;
use reqwest::Method;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use crate::auth::tokens::{SECRET, send, token};
use crate::connections::read_until;
use crate::response::Response;
use crate::service::Api;

const MEGABYTE: u64 = 1_000_000;

/// The service inherits the limit.
fn allow_open_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// A client with a small receive buffer, which sends these bytes and reads nothing.
async fn slow_reader(api: &Api, request: &[u8]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(api.address().parse().unwrap()).await.unwrap();
    match stream.write_all(request).await {
        // The service may close the connection at once.
        Err(error) if error.kind() != ErrorKind::ConnectionReset && error.kind() != ErrorKind::BrokenPipe => {
            panic!("{error}")
        }
        _ => stream,
    }
}

/// How much the service grows by so many clients that all send `request`.
async fn growth(api: &Api, count: usize, request: &[u8]) -> u64 {
    let idle = api.memory("VmRSS");
    let mut clients = Vec::new();
    for _ in 0..count / 100 {
        clients.extend(join_all((0..100).map(|_| slow_reader(api, request))).await);
        assert_eq!(api.get("/health").await.status, 200);
    }
    let peak = api.memory("VmHWM");
    drop(clients);
    println!(
        "{count} clients: {} MB beyond {} MB",
        (peak - idle) / MEGABYTE,
        idle / MEGABYTE
    );
    peak - idle
}

#[tokio::test]
async fn clients_without_a_token_cannot_fill_the_memory() {
    allow_open_files();
    let document = "GET /api/openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let long_head = format!("GET / HTTP/1.1\r\nx: {}", "x".repeat(100_000));
    for request in [document, &document.repeat(64), &long_head] {
        let api = Api::with(&[("AUTH", "jwt"), ("JWT_SECRET", SECRET)]).await;
        api.get("/api/openapi.json").await;
        let growth = growth(&api, 3_000, request.as_bytes()).await;
        assert!(growth < 64 * MEGABYTE, "{growth}");
    }
}

#[tokio::test]
async fn clients_with_a_token_cannot_fill_the_memory() {
    allow_open_files();
    let api = Api::with(&[("AUTH", "jwt"), ("JWT_SECRET", SECRET)]).await;
    let ada = token("ada", "orders:read orders:write");
    let item = json!({ "product_name": "\u{1F4A5}".repeat(255), "quantity": 1, "unit_price": "1" });
    let large = json!({ "items": vec![&item; 55] });
    for _ in 0..20 {
        let request = api.request(Method::POST, "/api/orders").json(&large);
        assert_eq!(Response::of(request.bearer_auth(&ada)).await.status, 201);
    }
    let page = send(&api, Method::GET, "/api/orders?limit=100", &ada).await;
    assert!(
        page.text.len() <= 256 * 1024 + 64 * 1024,
        "{} bytes",
        page.text.len()
    );
    assert_eq!(page.body["data"].as_array().unwrap().len(), 4);
    assert!(page.header("link").unwrap().contains("rel=\"next\""));

    let request = |path: &str, more: &str| {
        format!("{path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {ada}\r\n{more}\r\n")
            .into_bytes()
    };
    let reading = growth(&api, 1_000, &request("GET /api/orders?limit=100", "")).await;
    assert!(reading < 128 * MEGABYTE, "{reading}");
    let json = "content-type: application/json\r\ncontent-length: 65000\r\n";
    let mut body = request("POST /api/orders", json);
    body.extend(vec![b' '; 64_000]);
    let sending = growth(&api, 3_000, &body).await;
    assert!(sending < 128 * MEGABYTE, "{sending}");
}

#[tokio::test]
async fn pipelined_requests_of_a_client_that_reads_late_are_all_answered() {
    let api = Api::start().await;
    let pipelined = b"GET /api/openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(63);
    let last = b"GET /api/nothing HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut stream = slow_reader(&api, &[&pipelined[..], last].concat()).await;
    let responses = read_until(&mut stream, "There is nothing at this path.").await;
    assert_eq!(responses.matches("HTTP/1.1 200 ").count(), 63);
}

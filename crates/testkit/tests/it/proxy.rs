use std::time::Duration;

use testkit::{Proxy, Redis, eventually, redis};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_cut_drops_connections_and_refuses_new_ones_until_it_is_restored() {
    let server = redis().await.unwrap();
    let proxy = Proxy::start(server.url()).await.unwrap();
    let mut open = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ping(&mut open).await.unwrap(), *b"+PONG\r\n");

    proxy.cut().await;
    assert!(ping(&mut open).await.is_err(), "a connection outlived the cut");
    assert!(
        TcpStream::connect(proxy.address()).await.is_err(),
        "a cut proxy accepts connections"
    );

    proxy.restore().await.unwrap();
    let mut again = TcpStream::connect(proxy.address()).await.unwrap();
    assert_eq!(ping(&mut again).await.unwrap(), *b"+PONG\r\n");
}

#[tokio::test]
async fn latency_holds_bytes_back() {
    let server = redis().await.unwrap();
    let proxy = Proxy::start(server.url()).await.unwrap();
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    proxy.set_latency(Duration::from_secs(600));
    let response = tokio::time::timeout(Duration::from_millis(100), ping(&mut stream)).await;
    assert!(response.is_err(), "the response was not delayed");
}

#[tokio::test]
async fn its_url_keeps_everything_but_the_address() {
    let proxy = Proxy::start("postgres://someone:secret@127.0.0.1:5432/orders?sslmode=disable")
        .await
        .unwrap();
    assert_eq!(
        proxy.url(),
        format!(
            "postgres://someone:secret@{}/orders?sslmode=disable",
            proxy.address()
        )
    );
}

#[tokio::test]
async fn connections_come_back_after_the_server_behind_it_restarts() {
    let mut server = Redis::start().await.unwrap();
    let proxy = Proxy::start(server.url()).await.unwrap();
    server.restart().await.unwrap();
    eventually(
        "a response through the proxy",
        Duration::from_secs(60),
        || async {
            let mut stream = TcpStream::connect(proxy.address()).await.ok()?;
            ping(&mut stream).await.ok()
        },
    )
    .await;
}

async fn ping(stream: &mut TcpStream) -> std::io::Result<[u8; 7]> {
    stream.write_all(b"PING\r\n").await?;
    let mut response = [0; 7];
    stream.read_exact(&mut response).await?;
    Ok(response)
}

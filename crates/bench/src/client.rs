//! A cheap HTTP/1.1 client, because it shares its cores with the services that are measured: one keep-alive
//! connection, one request at a time.

use std::net::Ipv4Addr;

use anyhow::{Context, bail, ensure};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpSocket, TcpStream};

pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Client {
    /// Connects to a port of 127.0.0.1.
    pub(crate) async fn connect(port: u16) -> anyhow::Result<Self> {
        Self::connect_from(Ipv4Addr::LOCALHOST, port).await
    }

    /// As [`Client::connect`], from this loopback address: one address has ports for at most 28,000
    /// connections to the same port.
    pub(crate) async fn connect_from(address: Ipv4Addr, port: u16) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((address, 0).into())?;
        let stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::with_capacity(2048, stream),
            line: String::new(),
            body: Vec::new(),
        })
    }

    /// Creates an order; returns the response body.
    pub(crate) async fn create(&mut self, request: &[u8]) -> anyhow::Result<&[u8]> {
        self.stream.write_all(request).await?;
        let (status, length) = self.head().await?;
        self.body
            .resize(length.context("a response without Content-Length")?, 0);
        self.stream.read_exact(&mut self.body).await?;
        ensure!(
            status == "201",
            "response {status}: {}",
            String::from_utf8_lossy(&self.body)
        );
        Ok(&self.body)
    }

    /// Opens an order's event stream; returns it positioned after the response head.
    pub(crate) async fn follow(mut self, order: &str) -> anyhow::Result<BufReader<TcpStream>> {
        let request = format!("GET /api/orders/{order}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n");
        self.stream.write_all(request.as_bytes()).await?;
        let (status, _) = self.head().await?;
        ensure!(status == "200", "response {status}");
        Ok(self.stream)
    }

    /// The status, and Content-Length if there is one.
    async fn head(&mut self) -> anyhow::Result<(String, Option<usize>)> {
        let mut status = None;
        let mut length = None;
        loop {
            self.line.clear();
            if self.stream.read_line(&mut self.line).await? == 0 {
                bail!("the connection was closed");
            }
            let line = self.line.trim_end();
            match (&status, line.split_once(": ")) {
                (None, _) => status = line.split(' ').nth(1).map(str::to_owned),
                (_, Some((name, value))) if name.eq_ignore_ascii_case("content-length") => {
                    length = Some(value.parse()?);
                }
                _ if line.is_empty() => return Ok((status.unwrap_or_default(), length)),
                _ => {}
            }
        }
    }
}

/// The request that creates an order, with or without a payment.
pub(crate) fn create_order_request(payment: bool) -> Vec<u8> {
    let body = if payment {
        r#"{"product_name":"Widget","amount":"99.99","payment_method":"credit_card"}"#
    } else {
        r#"{"product_name":"Widget","amount":"99.99"}"#
    };
    let length = body.len();
    let head = "POST /api/orders HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n";
    format!("{head}Content-Length: {length}\r\n\r\n{body}").into_bytes()
}

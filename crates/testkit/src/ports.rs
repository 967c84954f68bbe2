//! Free TCP ports on the loopback interface.

use std::net::{Ipv4Addr, TcpListener};

use anyhow::Context;
use uuid::Uuid;

/// Below every system's range of ephemeral ports (Linux: from 32768), so that no client connection takes the
/// port of a server while it restarts.
const FIRST_PORT: u16 = 20_000;
const PORT_COUNT: u128 = 12_000;

/// A port on 127.0.0.1 without a listener at this moment. Another process may take it before the server does,
/// so callers must retry with another port.
pub fn free_port() -> anyhow::Result<u16> {
    for _ in 0..100 {
        let port = FIRST_PORT + u16::try_from(Uuid::new_v4().as_u128() % PORT_COUNT)?;
        if is_free(port) {
            return Ok(port);
        }
    }
    anyhow::bail!(
        "no free port between {FIRST_PORT} and {}",
        u128::from(FIRST_PORT) + PORT_COUNT
    )
}

/// Whether no process listens on this port of 127.0.0.1.
pub fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

/// `host:port` of a URL.
pub(crate) fn address(url: &str, default_port: u16) -> anyhow::Result<String> {
    let url = url::Url::parse(url).with_context(|| format!("not a URL: {url}"))?;
    let host = url.host_str().context("the URL names no host")?;
    Ok(format!("{host}:{}", url.port().unwrap_or(default_port)))
}

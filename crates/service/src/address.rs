//! The address that a service listens on.

use std::net::TcpListener;

use anyhow::Context;
use settings::{Env, SettingError};

/// The address that a service listens on: HOST and PORT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address of this machine.
    pub host: String,
    /// 0 takes any free port.
    pub port: u16,
}

impl Address {
    /// Reads HOST, by default 127.0.0.1, and PORT.
    pub fn from_env(env: &Env, default_port: u16) -> Result<Self, SettingError> {
        Ok(Self {
            host: env.or(
                "HOST",
                "127.0.0.1".to_owned(),
                "an IP address or a name of this machine",
            )?,
            port: env.or("PORT", default_port, "a port, 0 to 65535")?,
        })
    }

    /// Binds the port. Services do this first, so that a port in use fails before any other work.
    pub fn listen(&self) -> anyhow::Result<TcpListener> {
        let Self { host, port } = self;
        TcpListener::bind((host.as_str(), *port))
            .with_context(|| format!("cannot listen on {host}:{port} (HOST, PORT)"))
    }
}

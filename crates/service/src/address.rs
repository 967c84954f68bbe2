//! The address that a service listens on.

use std::net::TcpListener;

use anyhow::Context;
use rustix::net::listen;
use settings::{Env, SettingError};

/// Connections that the kernel accepts before the service does. The standard library asks for 128, and
/// clients beyond that wait for a second or more, until they send their SYN again. The kernel's own bound is
/// `net.core.somaxconn`, by default 4,096.
const BACKLOG: i32 = 4096;

/// The address that a service listens on: HOST and PORT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// A name or an IP address of this machine.
    pub host: String,
    /// 0 takes any free port.
    pub port: u16,
}

impl Address {
    /// Reads HOST, by default 127.0.0.1, and PORT. Where others can reach the service, ENVIRONMENT has to be
    /// set: its default, development, may have no authentication.
    pub fn from_env(env: &Env, default_port: u16) -> Result<Self, SettingError> {
        let takes = "an IP address or a name of this machine";
        let host = env.or("HOST", "127.0.0.1".to_owned(), takes)?;
        if !settings::is_loopback(&host) && env.get("ENVIRONMENT").is_none() {
            return Err(SettingError::missing(
                "ENVIRONMENT",
                "development or another name such as production, where HOST is not a loopback address",
            ));
        }
        let port = env.or("PORT", default_port, "a port, 0 to 65535")?;
        Ok(Self { host, port })
    }

    /// Binds the port. Services do this first, so that a port in use fails before any other work.
    pub fn listen(&self) -> anyhow::Result<TcpListener> {
        let Self { host, port } = self;
        let bound = TcpListener::bind((host.as_str(), *port));
        let listener = bound.with_context(|| format!("cannot listen on {host}:{port} (HOST, PORT)"))?;
        // A second call changes the backlog.
        listen(&listener, BACKLOG).context("cannot set the backlog of connections")?;
        Ok(listener)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_that_others_can_reach_needs_an_environment() {
        let read = |host, environment| {
            let env = Env::of([("HOST", host), ("ENVIRONMENT", environment)]);
            Address::from_env(&env, 8080)
        };
        for host in ["0.0.0.0", "::", "10.0.0.1", "api.example.com"] {
            assert_eq!(
                read(host, "").unwrap_err().to_string(),
                "ENVIRONMENT: is required; takes development or another name such as production, where HOST is not \
                 a loopback address"
            );
            for environment in ["development", "production"] {
                assert!(read(host, environment).is_ok());
            }
        }
        for host in ["", "127.0.0.1", "::1", "localhost"] {
            assert!(read(host, "").is_ok(), "{host}");
        }
    }
}

//! The settings of lens, read from the environment once.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, ToSocketAddrs};

use settings::{Env, SettingError};

/// Each is compared with every attribute of every span that is received.
const MAX_KEY_ATTRIBUTES: usize = 8;

/// The settings of lens. Port 0 takes any free port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LensConfig {
    /// `HOST`: the address to listen on. A name is resolved once, at the start.
    pub host: IpAddr,
    /// `HOST` as written: a name under which browsers may reach lens, besides `localhost` and IP addresses.
    pub host_name: String,
    /// `PORT`: the page and its API.
    pub http_port: u16,
    /// `LENS_GRPC_PORT`: OTLP/gRPC.
    pub otlp_grpc_port: u16,
    /// `LENS_HTTP_PORT`: OTLP/HTTP.
    pub otlp_http_port: u16,
    /// `LENS_MAX_BYTES`: the limit of all received telemetry in memory, as estimated. A half is for what is
    /// stored, a half for the exports that are read and decoded.
    pub max_bytes: usize,
    /// `LENS_SYSTEM_URL`: the control room of the local stack, to which the navigation leads. `None` outside
    /// of such a stack.
    pub system_url: Option<String>,
    /// `LENS_KEY_ATTRIBUTES`: the attributes of spans whose values identify what a trace is about. Lists show
    /// them, and an index finds traces by them.
    pub key_attributes: Vec<String>,
}

impl Default for LensConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            host_name: "localhost".to_owned(),
            http_port: 8100,
            otlp_grpc_port: 4317,
            otlp_http_port: 4318,
            max_bytes: 256 * 1024 * 1024,
            system_url: None,
            key_attributes: vec!["order.id".to_owned()],
        }
    }
}

impl LensConfig {
    /// Absent and empty variables have their defaults.
    ///
    /// # Errors
    /// If a variable has an invalid value.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let default = Self::default();
        let port = "a port number, 0 to 65535";
        let host = match env.get("HOST") {
            Some(host) => resolve(host)
                .ok_or_else(|| SettingError::bad("HOST", host, "an IP address or a name of this machine"))?,
            None => default.host,
        };
        Ok(Self {
            host,
            host_name: env.get("HOST").map_or(default.host_name, str::to_owned),
            http_port: env.or("PORT", default.http_port, port)?,
            otlp_grpc_port: env.or("LENS_GRPC_PORT", default.otlp_grpc_port, port)?,
            otlp_http_port: env.or("LENS_HTTP_PORT", default.otlp_http_port, port)?,
            max_bytes: env.bytes_or("LENS_MAX_BYTES", default.max_bytes)?,
            system_url: env.get("LENS_SYSTEM_URL").map(http_url).transpose()?,
            key_attributes: match env.get("LENS_KEY_ATTRIBUTES") {
                Some(names) => key_attributes(names)?,
                None => default.key_attributes,
            },
        })
    }
}

fn http_url(url: &str) -> Result<String, SettingError> {
    let is_http = ["http://", "https://"]
        .iter()
        .any(|scheme| url.starts_with(scheme));
    is_http
        .then(|| url.to_owned())
        .ok_or_else(|| SettingError::bad("LENS_SYSTEM_URL", url, "a URL such as http://127.0.0.1:8110"))
}

fn key_attributes(names: &str) -> Result<Vec<String>, SettingError> {
    let keys: Vec<String> = names.split(',').map(|key| key.trim().to_owned()).collect();
    if keys.len() <= MAX_KEY_ATTRIBUTES && keys.iter().all(|key| !key.is_empty()) {
        return Ok(keys);
    }
    let takes = format!("1 to {MAX_KEY_ATTRIBUTES} names of attributes, separated by commas");
    Err(SettingError::bad("LENS_KEY_ATTRIBUTES", names, takes))
}

/// The address itself or the address of a name, IPv4 before IPv6.
fn resolve(host: &str) -> Option<IpAddr> {
    if let Ok(address) = host.parse() {
        return Some(address);
    }
    let addresses: Vec<SocketAddr> = (host, 0).to_socket_addrs().ok()?.collect();
    let ipv4 = addresses.iter().find(|address| address.is_ipv4());
    ipv4.or(addresses.first()).map(SocketAddr::ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_environment_gives_the_documented_defaults() {
        let config = LensConfig::from_env(&Env::of([("PORT", ""), ("HOST", " ")]));
        assert_eq!(config, Ok(LensConfig::default()));
    }

    #[test]
    fn every_variable_is_read() {
        let variables = [
            ("HOST", "::1"),
            ("PORT", "1"),
            ("LENS_GRPC_PORT", "2"),
            ("LENS_HTTP_PORT", "3"),
            ("LENS_MAX_BYTES", "64KiB"),
            ("LENS_SYSTEM_URL", "http://127.0.0.1:8110"),
            ("LENS_KEY_ATTRIBUTES", "order.id, user.id"),
        ];
        let expected = LensConfig {
            host: "::1".parse().unwrap(),
            host_name: "::1".to_owned(),
            http_port: 1,
            otlp_grpc_port: 2,
            otlp_http_port: 3,
            max_bytes: 65_536,
            system_url: Some("http://127.0.0.1:8110".to_owned()),
            key_attributes: vec!["order.id".to_owned(), "user.id".to_owned()],
        };
        assert_eq!(LensConfig::from_env(&Env::of(variables)), Ok(expected));
    }

    #[test]
    fn a_host_may_be_a_name_as_in_the_other_services() {
        let config = LensConfig::from_env(&Env::of([("HOST", "localhost")])).unwrap();
        assert!(config.host.is_loopback());
    }

    #[test]
    fn an_error_names_the_variable_and_the_valid_values() {
        let error = LensConfig::from_env(&Env::of([("HOST", "no such host")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "HOST: got `no such host`; takes an IP address or a name of this machine"
        );
        for bad in [
            ("LENS_MAX_BYTES", "0"),
            ("LENS_SYSTEM_URL", "javascript:alert(1)"),
            ("LENS_KEY_ATTRIBUTES", "a,,b"),
        ] {
            assert!(LensConfig::from_env(&Env::of([bad])).is_err());
        }
    }
}

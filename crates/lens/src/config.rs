//! Where lens listens and how much it keeps, read from the environment once.

use std::net::{IpAddr, Ipv4Addr};

use settings::{Env, SettingError};

/// Where lens listens and how much it keeps. Port 0 takes any free port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LensConfig {
    /// `HOST`: the address to listen on.
    pub host: IpAddr,
    /// `PORT`: the page and its API.
    pub http_port: u16,
    /// `LENS_GRPC_PORT`: OTLP over gRPC.
    pub otlp_grpc_port: u16,
    /// `LENS_HTTP_PORT`: OTLP over HTTP.
    pub otlp_http_port: u16,
    /// `LENS_MAX_BYTES`: about how much memory all that was received may take.
    pub max_bytes: usize,
}

impl Default for LensConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            http_port: 8100,
            otlp_grpc_port: 4317,
            otlp_http_port: 4318,
            max_bytes: 256 * 1024 * 1024,
        }
    }
}

impl LensConfig {
    /// Reads the environment; what is absent or empty has its default.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let default = Self::default();
        let port = "a port number, 0 to 65535";
        Ok(Self {
            host: env.or("HOST", default.host, "an IP address, such as 127.0.0.1")?,
            http_port: env.or("PORT", default.http_port, port)?,
            otlp_grpc_port: env.or("LENS_GRPC_PORT", default.otlp_grpc_port, port)?,
            otlp_http_port: env.or("LENS_HTTP_PORT", default.otlp_http_port, port)?,
            max_bytes: env.bytes_or("LENS_MAX_BYTES", default.max_bytes)?,
        })
    }
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
        ];
        let expected = LensConfig {
            host: "::1".parse().unwrap(),
            http_port: 1,
            otlp_grpc_port: 2,
            otlp_http_port: 3,
            max_bytes: 65_536,
        };
        assert_eq!(LensConfig::from_env(&Env::of(variables)), Ok(expected));
    }

    #[test]
    fn a_bad_value_is_named_with_what_it_takes() {
        let error = LensConfig::from_env(&Env::of([("HOST", "localhost")])).unwrap_err();
        assert_eq!(
            error.to_string(),
            "HOST: got `localhost`; takes an IP address, such as 127.0.0.1"
        );
        assert!(LensConfig::from_env(&Env::of([("LENS_MAX_BYTES", "0")])).is_err());
    }
}

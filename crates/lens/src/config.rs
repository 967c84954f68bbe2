//! Where lens listens and how much it keeps, read from the environment once.

use std::env::{self, VarError};
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

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

/// A variable of the environment has a value that it cannot have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable} is `{got}`; it takes {takes}")]
pub struct ConfigError {
    variable: &'static str,
    got: String,
    takes: &'static str,
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
    ///
    /// # Errors
    /// If a variable's value is not one that it takes.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::from_variables(|variable| env::var(variable).or_else(replace_unreadable))
    }

    fn from_variables(
        read: impl Fn(&'static str) -> Result<String, VarError>,
    ) -> Result<Self, ConfigError> {
        let default = Self::default();
        let port = "a port number, 0 to 65535";
        let host = parse(&read, "HOST", "an IP address, such as 127.0.0.1", from_str)?;
        let http_port = parse(&read, "PORT", port, from_str)?;
        let otlp_grpc_port = parse(&read, "LENS_GRPC_PORT", port, from_str)?;
        let otlp_http_port = parse(&read, "LENS_HTTP_PORT", port, from_str)?;
        let max_bytes = parse(
            &read,
            "LENS_MAX_BYTES",
            "a size above 0: bytes, or `64KiB`, `1MiB`, `1GiB`",
            size,
        )?;
        Ok(Self {
            host: host.unwrap_or(default.host),
            http_port: http_port.unwrap_or(default.http_port),
            otlp_grpc_port: otlp_grpc_port.unwrap_or(default.otlp_grpc_port),
            otlp_http_port: otlp_http_port.unwrap_or(default.otlp_http_port),
            max_bytes: max_bytes.unwrap_or(default.max_bytes),
        })
    }
}

fn parse<T>(
    read: impl Fn(&'static str) -> Result<String, VarError>,
    variable: &'static str,
    takes: &'static str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<Option<T>, ConfigError> {
    let Ok(text) = read(variable) else {
        return Ok(None);
    };
    match text.trim() {
        "" => Ok(None),
        trimmed => parse(trimmed).map(Some).ok_or(ConfigError {
            variable,
            got: text,
            takes,
        }),
    }
}

fn from_str<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

fn size(text: &str) -> Option<usize> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let unit = units
        .iter()
        .find_map(|(name, bytes)| Some((text.strip_suffix(name)?, *bytes)));
    let (number, bytes) = unit.unwrap_or((text, 1));
    let number: usize = number.trim_end().parse().ok()?;
    number.checked_mul(bytes).filter(|bytes| *bytes > 0)
}

/// A value that is no text is a bad value, not an absent one.
fn replace_unreadable(error: VarError) -> Result<String, VarError> {
    match error {
        VarError::NotUnicode(value) => Ok(value.to_string_lossy().into_owned()),
        VarError::NotPresent => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(variables: &[(&str, &str)]) -> Result<LensConfig, ConfigError> {
        LensConfig::from_variables(|variable| {
            let found = variables.iter().find(|(name, _)| *name == variable);
            found
                .map(|(_, value)| (*value).to_owned())
                .ok_or(VarError::NotPresent)
        })
    }

    #[test]
    fn an_empty_environment_gives_the_documented_defaults() {
        assert_eq!(config(&[]), Ok(LensConfig::default()));
        assert_eq!(
            config(&[("PORT", ""), ("HOST", " ")]),
            Ok(LensConfig::default())
        );
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
        assert_eq!(config(&variables), Ok(expected));
    }

    #[test]
    fn a_bad_value_is_named_with_what_it_takes() {
        let error = config(&[("LENS_MAX_BYTES", "much")]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "LENS_MAX_BYTES is `much`; it takes a size above 0: bytes, or `64KiB`, `1MiB`, `1GiB`"
        );
        assert!(config(&[("PORT", "65536")]).is_err());
        assert!(config(&[("HOST", "localhost")]).is_err());
    }

    #[test]
    fn sizes_are_bytes_or_carry_a_unit() {
        assert_eq!(size("1048576"), Some(1 << 20));
        assert_eq!(size("1MiB"), Some(1 << 20));
        assert_eq!(size("2 GiB"), Some(1 << 31));
        for bad in ["0", "-1", "1MB", "MiB", "99999999999999GiB"] {
            assert_eq!(size(bad), None, "{bad}");
        }
    }
}

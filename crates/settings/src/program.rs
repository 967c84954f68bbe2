//! What a program reports of itself, and how it asks its running process for it.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use crate::{Env, SettingError};

/// The commit that the program is built from, if the build sets GIT_COMMIT.
pub const COMMIT: Option<&str> = option_env!("GIT_COMMIT");
/// How long connecting may take, and each read and write.
const TIMEOUT: Duration = Duration::from_secs(3);
/// Of the response, at most this many bytes are read.
const MAX_RESPONSE: u64 = 16 << 10;

/// The running program did not respond, or not with 200.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// HOST or PORT has an invalid value.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// It is unreachable.
    #[error("no response from {address}: {error}")]
    Unreachable {
        /// Where it should listen.
        address: String,
        /// Why not.
        error: io::Error,
    },
    /// It is not healthy, or not ready.
    #[error("{0}")]
    Unhealthy(String),
}

/// A version with the commit that it is built from, as SemVer's build metadata: `1.2.0+4fd1c32`.
#[must_use]
pub fn full_version(version: &str) -> String {
    version_at(version, COMMIT)
}

fn version_at(version: &str, commit: Option<&str>) -> String {
    match commit {
        Some(commit) if !commit.is_empty() => format!("{version}+{}", commit.get(..12).unwrap_or(commit)),
        _ => version.to_owned(),
    }
}

/// Requests `path` from the running process, by this one's HOST and PORT, and expects 200. For the health
/// check of a container, whose image has no HTTP client.
///
/// # Errors
/// If it is unreachable, or responds with another status; the message has its response.
pub fn check_health(env: &Env, default_port: u16, path: &str) -> Result<(), HealthError> {
    // A program that listens on all addresses is also on loopback.
    let host = match env.get("HOST") {
        None | Some("0.0.0.0") => "127.0.0.1",
        Some("::") => "::1",
        Some(host) => host,
    };
    let port = env.or("PORT", default_port, "a port, 0 to 65535")?;
    let response = get(host, port, path).map_err(|error| HealthError::Unreachable {
        address: format!("{host}:{port}"),
        error,
    })?;
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((&response, ""));
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        return Ok(());
    }
    Err(HealthError::Unhealthy(format!("{status} {}", body.trim())))
}

fn get(host: &str, port: u16, path: &str) -> io::Result<String> {
    let address = (host, port).to_socket_addrs()?.next();
    let address = address.ok_or_else(|| io::Error::other("the name has no address"))?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // HTTP/1.0: the response ends with the connection.
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut response = Vec::new();
    stream.take(MAX_RESPONSE).read_to_end(&mut response)?;
    Ok(String::from_utf8_lossy(&response).into_owned())
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_version_has_the_commit_if_the_build_knows_it() {
        assert_eq!(version_at("1.2.0", None), "1.2.0");
        assert_eq!(version_at("1.2.0", Some("")), "1.2.0");
        assert_eq!(
            version_at("1.2.0", Some("4fd1c32a9b0e7d3f5566")),
            "1.2.0+4fd1c32a9b0e"
        );
    }

    /// Responds once.
    fn health_of(response: &'static str) -> Result<(), HealthError> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port().to_string();
        let server = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut line = String::new();
            let mut request = BufReader::new(client.try_clone().unwrap());
            while request.read_line(&mut line).unwrap() > 2 {}
            client.write_all(response.as_bytes()).unwrap();
            line
        });
        let env = Env::of([("HOST", "0.0.0.0"), ("PORT", &port)]);
        let health = check_health(&env, 1, "/health/ready");
        assert!(
            server
                .join()
                .unwrap()
                .starts_with("GET /health/ready HTTP/1.0\r\n")
        );
        health
    }

    #[test]
    fn only_a_200_is_healthy() {
        assert!(health_of("HTTP/1.1 200 OK\r\n\r\n{}").is_ok());
        let not_ready = health_of("HTTP/1.1 503 Service Unavailable\r\n\r\n{\"redis\":\"unavailable\"}\n");
        assert_eq!(
            not_ready.unwrap_err().to_string(),
            "HTTP/1.1 503 Service Unavailable {\"redis\":\"unavailable\"}"
        );
        assert!(health_of("").is_err());
    }

    #[test]
    fn a_program_that_does_not_run_is_not_healthy() {
        let unused = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let error = check_health(&Env::of([]), unused, "/health")
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with(&format!("no response from 127.0.0.1:{unused}: ")),
            "{error}"
        );
    }
}

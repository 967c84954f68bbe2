//! TLS to PostgreSQL, with libpq's parameters (<https://www.postgresql.org/docs/current/libpq-ssl.html>).
//!
//! | `sslmode` | encrypted | server's certificate |
//! |---|---|---|
//! | disable | no | |
//! | prefer (default) | if the server can | not verified |
//! | require | yes | not verified; with an `sslrootcert`, as verify-ca |
//! | verify-ca | yes | signed by `sslrootcert` |
//! | verify-full | yes | signed by `sslrootcert`, or by a root of the system; and issued for this host |
//!
//! As in libpq since release 16, `sslrootcert=system` means verify-full, and is an error with a weaker mode.
//! So is a file with `prefer`, which libpq verifies only if the server offers TLS.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;
use url::form_urlencoded;

use crate::error::StoreError;
use crate::pg::any_name::AnyName;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Disable,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// The TLS parameters of a URL.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    mode: Mode,
    root_cert: Option<String>,
}

impl Tls {
    /// Removes `sslmode` and `sslrootcert` from the URL; the rest stays unchanged.
    pub(crate) fn split_from(database_url: &str) -> Result<(String, Self), StoreError> {
        if !database_url.starts_with("postgres://") && !database_url.starts_with("postgresql://") {
            return Err(config(
                "the database's URL starts with postgres:// or postgresql://",
            ));
        }
        let (mut mode, mut root_cert) = (None, None);
        let (base, query) = database_url.split_once('?').unwrap_or((database_url, ""));
        if query.contains('@') {
            // Otherwise an error about the query would print a part of the password.
            return Err(config(
                "the database's URL has a `?` before its host; in a password, write %3F",
            ));
        }
        let mut others = Vec::new();
        for pair in query.split('&') {
            match pair.split_once('=') {
                Some(("sslmode", word)) => mode = Some(Mode::read(word)?),
                Some(("sslrootcert", path)) => root_cert = Some(decode(path)),
                _ => others.push(pair),
            }
        }
        let mode = match (mode, root_cert.as_deref()) {
            (None | Some(Mode::VerifyFull), Some("system")) => Mode::VerifyFull,
            (_, Some("system")) => {
                return Err(config(
                    "the database's URL has sslrootcert=system, which takes sslmode=verify-full",
                ));
            }
            (None | Some(Mode::Prefer), Some(_)) => {
                return Err(config(
                    "the database's URL has an sslrootcert, which takes sslmode=verify-full, verify-ca or require",
                ));
            }
            (Some(Mode::VerifyCa), None) => {
                return Err(config(
                    "the database's URL has sslmode=verify-ca, which needs sslrootcert=/path/of/ca.pem",
                ));
            }
            (Some(Mode::Require), Some(_)) => Mode::VerifyCa,
            (mode, _) => mode.unwrap_or(Mode::Prefer),
        };
        let root_cert = root_cert.filter(|path| path != "system");
        let tls = Self { mode, root_cert };
        let others = others.join("&");
        let url = if others.is_empty() {
            base.to_owned()
        } else {
            format!("{base}?{others}")
        };
        Ok((url, tls))
    }

    /// Whether a server needs a certificate of its name by a trusted authority.
    pub(crate) fn is_fully_verified(&self) -> bool {
        self.mode == Mode::VerifyFull
    }

    /// Whether tokio-postgres negotiates TLS.
    pub(crate) fn mode(&self) -> SslMode {
        match self.mode {
            Mode::Disable => SslMode::Disable,
            Mode::Prefer => SslMode::Prefer,
            Mode::Require | Mode::VerifyCa | Mode::VerifyFull => SslMode::Require,
        }
    }

    /// Makes TLS connections, with the certificate verification of this mode.
    pub(crate) fn connector(&self) -> Result<MakeRustlsConnect, StoreError> {
        let provider = Arc::new(ring::default_provider());
        let verifier: Arc<dyn ServerCertVerifier> = match (self.mode, &self.root_cert) {
            (Mode::Disable | Mode::Prefer | Mode::Require, _) => {
                Arc::new(AnyName::new(None, provider.clone()))
            }
            (Mode::VerifyFull, None) => return system_roots(),
            (Mode::VerifyCa | Mode::VerifyFull, path) => {
                let roots = Arc::new(read_roots(path.as_deref().unwrap_or_default())?);
                if self.mode == Mode::VerifyCa {
                    Arc::new(AnyName::new(Some(roots), provider.clone()))
                } else {
                    WebPkiServerVerifier::builder_with_provider(roots, provider.clone())
                        .build()
                        .map_err(config)?
                }
            }
        };
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(config)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(client))
    }
}

impl Mode {
    fn read(word: &str) -> Result<Self, StoreError> {
        match word {
            "disable" => Ok(Self::Disable),
            "prefer" => Ok(Self::Prefer),
            "require" => Ok(Self::Require),
            "verify-ca" => Ok(Self::VerifyCa),
            "verify-full" => Ok(Self::VerifyFull),
            other => Err(config(format!(
                "the database's URL has sslmode={other}; accepted: disable, prefer, require, verify-ca, verify-full"
            ))),
        }
    }
}

fn system_roots() -> Result<MakeRustlsConnect, StoreError> {
    match MakeRustlsConnect::with_native_certs() {
        Ok((connector, _unreadable)) => Ok(connector),
        Err(errors) => Err(config(format!(
            "sslmode=verify-full finds no root certificates of the system ({} errors); name a file by sslrootcert",
            errors.len()
        ))),
    }
}

fn read_roots(path: &str) -> Result<RootCertStore, StoreError> {
    let unreadable =
        |error: &dyn std::fmt::Display| config(format!("cannot read sslrootcert {path}: {error}"));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))? {
        let certificate = certificate.map_err(|error| unreadable(&error))?;
        roots.add(certificate).map_err(|error| unreadable(&error))?;
    }
    if roots.is_empty() {
        return Err(unreadable(&"it holds no certificate"));
    }
    Ok(roots)
}

/// Decodes %-escapes. A plus stays a plus: in a path it is not a space.
fn decode(value: &str) -> String {
    let pair = format!("v={}", value.replace('+', "%2B"));
    form_urlencoded::parse(pair.as_bytes())
        .map(|(_, value)| value.into_owned())
        .collect()
}

fn config(error: impl std::fmt::Display) -> StoreError {
    StoreError::Config(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(query: &str) -> (String, Mode, Option<String>) {
        let (url, tls) = Tls::split_from(&format!("postgres://db/shop{query}")).unwrap();
        (url, tls.mode, tls.root_cert)
    }

    #[test]
    fn the_parameters_of_libpq_are_removed_from_the_url() {
        let plain = "postgres://db/shop".to_owned();
        assert_eq!(split(""), (plain.clone(), Mode::Prefer, None));
        assert_eq!(split("?sslmode=require"), (plain.clone(), Mode::Require, None));
        assert_eq!(
            split("?connect_timeout=3&sslmode=verify-full&sslrootcert=%2Fetc%2Fmy%20ca+1.pem"),
            (
                format!("{plain}?connect_timeout=3"),
                Mode::VerifyFull,
                Some("/etc/my ca+1.pem".to_owned())
            )
        );
        assert_eq!(
            split("?sslmode=require&sslrootcert=ca.pem"),
            (plain, Mode::VerifyCa, Some("ca.pem".to_owned()))
        );
    }

    #[test]
    fn the_systems_roots_verify_the_name_too() {
        let plain = "postgres://db/shop".to_owned();
        for query in ["?sslrootcert=system", "?sslrootcert=system&sslmode=verify-full"] {
            assert_eq!(split(query), (plain.clone(), Mode::VerifyFull, None));
        }
    }

    #[test]
    fn a_mode_that_cannot_verify_is_rejected_at_once() {
        for query in [
            "sslmode=verify-ca",
            "sslmode=verify-ca&sslrootcert=system",
            "sslmode=require&sslrootcert=system",
            "sslrootcert=system&sslmode=prefer",
            "sslmode=disable&sslrootcert=system",
            "sslmode=prefer&sslrootcert=ca.pem",
            "sslrootcert=ca.pem",
        ] {
            assert!(
                Tls::split_from(&format!("postgres://db/shop?{query}")).is_err(),
                "{query}"
            );
        }
        let (_, tls) = Tls::split_from("postgres://db/shop?sslmode=verify-ca&sslrootcert=/none.pem").unwrap();
        let error = tls.connector().err().unwrap().to_string();
        assert!(
            error.starts_with("cannot read sslrootcert /none.pem: "),
            "{error}"
        );
    }
}

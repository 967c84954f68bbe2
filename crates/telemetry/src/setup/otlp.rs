//! The `OTEL_EXPORTER_OTLP_*` variables: where and how one signal is exported. A signal's own variable
//! overrides the common one, and an invalid value is an error.
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use percent_encoding::percent_decode_str;
use settings::{Env, SecretSlice, SettingError};
use url::Url;

use super::limits;
use super::signal::Signal;
#[cfg(feature = "http-proto")]
use crate::export::Encoding;
use crate::intern::intern;

/// The timeout of a request unless another is configured.
pub(super) const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// How to reach the collector for one signal.
#[derive(Debug)]
pub(super) struct Otlp {
    pub(super) protocol: Protocol,
    /// With the signal's path if the protocol is HTTP.
    pub(super) endpoint: Url,
    pub(super) headers: HeaderMap,
    pub(super) timeout: Duration,
    pub(super) gzip: bool,
    pub(super) tls: Tls,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    #[cfg(feature = "grpc")]
    Grpc,
    #[cfg(feature = "http-proto")]
    Http(Encoding),
}

impl Protocol {
    #[cfg(feature = "http-proto")]
    const DEFAULT: Self = Self::Http(Encoding::Protobuf);
    #[cfg(not(feature = "http-proto"))]
    const DEFAULT: Self = Self::Grpc;
    const TAKES: &str = if cfg!(all(feature = "grpc", feature = "http-json")) {
        "grpc, http/protobuf or http/json"
    } else {
        "what the features `http-proto`, `http-json` and `grpc` of throughline-telemetry add"
    };

    fn parse(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            #[cfg(feature = "grpc")]
            "grpc" => Some(Self::Grpc),
            #[cfg(feature = "http-proto")]
            "http/protobuf" => Some(Self::Http(Encoding::Protobuf)),
            #[cfg(feature = "http-json")]
            "http/json" => Some(Self::Http(Encoding::Json)),
            _ => None,
        }
    }

    pub(super) fn default_endpoint(self) -> &'static str {
        if self.is_grpc() {
            "http://localhost:4317"
        } else {
            "http://localhost:4318"
        }
    }

    pub(super) fn is_grpc(self) -> bool {
        match self {
            #[cfg(feature = "grpc")]
            Self::Grpc => true,
            #[cfg(feature = "http-proto")]
            Self::Http(_) => false,
        }
    }
}

/// The contents of PEM files.
#[derive(Debug, Default)]
pub(super) struct Tls {
    /// Certificates to trust besides the system's.
    pub(super) authority: Option<Vec<u8>>,
    pub(super) identity: Option<Identity>,
}

/// A client certificate and its key.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) certificate: Vec<u8>,
    pub(super) key: SecretSlice<u8>,
}

impl Otlp {
    pub(super) fn from_env(env: &Env, signal: &Signal) -> Result<Self, SettingError> {
        let variables = Variables { env, signal };
        let protocol = variables.read("PROTOCOL", Protocol::TAKES, Protocol::parse)?;
        let protocol = protocol.unwrap_or(Protocol::DEFAULT);
        let gzip = variables.read("COMPRESSION", "gzip or none", |word| {
            match word.to_ascii_lowercase().as_str() {
                "gzip" => Some(true),
                "none" => Some(false),
                _ => None,
            }
        })?;
        let timeout = variables.read("TIMEOUT", "a number of milliseconds above 0", |text| {
            text.parse().ok().filter(|milliseconds| *milliseconds > 0)
        })?;
        let timeout = timeout.map_or(DEFAULT_TIMEOUT, Duration::from_millis);
        let batch_timeout = limits::milliseconds(env, signal.batch_timeout, limits::EXPORT_TIMEOUT)?;
        let headers = variables.headers()?;
        Ok(Self {
            protocol,
            endpoint: variables.endpoint(protocol, &headers)?,
            headers,
            // The first bounds the requests for a batch, the second how long the batch waits for them.
            timeout: timeout.min(batch_timeout),
            gzip: gzip.unwrap_or_default(),
            tls: Tls {
                authority: variables.file("CERTIFICATE")?,
                identity: variables.identity()?,
            },
        })
    }
}

/// The variables of one signal, by the end of their names.
struct Variables<'a> {
    env: &'a Env,
    signal: &'a Signal,
}

impl<'a> Variables<'a> {
    /// A signal's own variable and the common one.
    fn names(&self, of: &str) -> [&'static str; 2] {
        let own = format!("OTEL_EXPORTER_OTLP_{}_{of}", self.signal.name);
        [own, format!("OTEL_EXPORTER_OTLP_{of}")].map(intern)
    }

    /// The first of the two that is set.
    fn first(&self, of: &str) -> Option<(&'static str, &'a str)> {
        let mut names = self.names(of).into_iter();
        names.find_map(|name| Some((name, self.env.get(name)?)))
    }

    fn read<T>(
        &self,
        of: &str,
        takes: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, SettingError> {
        let Some((name, text)) = self.first(of) else {
            return Ok(None);
        };
        let value = parse(text).ok_or_else(|| SettingError::bad(name, text, takes));
        value.map(Some)
    }

    /// HTTP: a signal's own endpoint is used unchanged, the signal's path is added to the common one. gRPC:
    /// no path, and an endpoint without a scheme means TLS unless `..._INSECURE` is `true`.
    fn endpoint(&self, protocol: Protocol, headers: &HeaderMap) -> Result<Url, SettingError> {
        let insecure = self.read("INSECURE", "true or false", |text| {
            text.to_ascii_lowercase().parse().ok()
        })?;
        let [own, common] = self.names("ENDPOINT");
        let given = self.first("ENDPOINT");
        let (name, text) = given.unwrap_or((common, protocol.default_endpoint()));
        let mut url = parse_endpoint(text, protocol, insecure == Some(true))
            .ok_or_else(|| SettingError::bad(name, without_secrets(text), ENDPOINT))?;
        check_plaintext(self.env, name, &url, headers)?;
        if !protocol.is_grpc() && name != own {
            let path = format!("{}/{}", url.path().trim_end_matches('/'), self.signal.path);
            url.set_path(&path);
        }
        Ok(url)
    }

    /// The list holds API keys, so an error does not show it.
    fn headers(&self) -> Result<HeaderMap, SettingError> {
        match self.first("HEADERS") {
            Some((name, list)) => parse_headers(list).ok_or_else(|| SettingError::bad_secret(name, HEADERS)),
            None => Ok(HeaderMap::new()),
        }
    }

    fn file(&self, of: &str) -> Result<Option<Vec<u8>>, SettingError> {
        self.read(of, "the path of a readable PEM file", read_pem)
    }

    fn identity(&self) -> Result<Option<Identity>, SettingError> {
        let required = |of, takes| {
            let [_, common] = self.names(of);
            Err(SettingError::missing(common, takes))
        };
        match (self.file("CLIENT_CERTIFICATE")?, self.file("CLIENT_KEY")?) {
            (Some(certificate), Some(key)) => Ok(Some(Identity {
                certificate,
                key: key.into(),
            })),
            (None, None) => Ok(None),
            (Some(_), None) => required(
                "CLIENT_KEY",
                "the path of the key that belongs to the client certificate",
            ),
            (None, Some(_)) => required(
                "CLIENT_CERTIFICATE",
                "the path of the certificate that belongs to the client key",
            ),
        }
    }
}

/// What [`parse_endpoint`] takes, for messages.
pub(super) const ENDPOINT: &str = "a URL such as http://localhost:4318 or https://otlp.example.com";

/// For gRPC, the scheme may be absent: it is `http` if `insecure`, otherwise `https`.
pub(super) fn parse_endpoint(text: &str, protocol: Protocol, insecure: bool) -> Option<Url> {
    let scheme = if insecure { "http" } else { "https" };
    let url = if protocol.is_grpc() && !text.contains("://") {
        Url::parse(&format!("{scheme}://{text}"))
    } else {
        Url::parse(text)
    };
    url.ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// With headers, which hold API keys, a public endpoint needs TLS.
pub(super) fn check_plaintext(
    env: &Env,
    name: &'static str,
    url: &Url,
    headers: &HeaderMap,
) -> Result<(), SettingError> {
    if url.scheme() == "https" || headers.is_empty() {
        return Ok(());
    }
    let host = url.host_str().unwrap_or_default();
    env.check_plaintext(name, url.as_str(), host, "https:// with headers")
}

/// The part before an `@` may be a password, and the query an API key.
pub(super) fn without_secrets(text: &str) -> String {
    let (text, query) = match text.split_once('?') {
        Some((text, _)) => (text, "?***"),
        None => (text, ""),
    };
    match text.rsplit_once('@') {
        Some((_, host)) => format!("***@{host}{query}"),
        None => format!("{text}{query}"),
    }
}

/// What [`parse_headers`] takes, for messages.
pub(super) const HEADERS: &str = "a list name=value,name=value of HTTP headers, with percent-encoded values";

/// `name=value,name=value`, values percent-encoded.
pub(super) fn parse_headers(list: &str) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for pair in list.split(',').filter(|pair| !pair.trim().is_empty()) {
        let (name, value) = pair.split_once('=')?;
        let name = HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        headers.insert(name, secret_value(&value)?);
    }
    Some(headers)
}

/// The value of a header, which its Debug does not show.
pub(super) fn secret_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

pub(super) fn read_pem(path: &str) -> Option<Vec<u8>> {
    std::fs::read(path)
        .ok()
        .filter(|pem| pem.windows(11).any(|window| window == b"-----BEGIN "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setup::signal::TRACES;

    fn traces<const N: usize>(pairs: [(&str, &str); N]) -> Result<Otlp, SettingError> {
        Otlp::from_env(&Env::of(pairs), &TRACES)
    }

    fn endpoint<const N: usize>(pairs: [(&str, &str); N]) -> String {
        traces(pairs).unwrap().endpoint.into()
    }

    #[test]
    fn a_signals_own_endpoint_is_unchanged_and_the_common_one_gets_a_path() {
        assert_eq!(endpoint([]), "http://localhost:4318/v1/traces");
        assert_eq!(
            endpoint([("OTEL_EXPORTER_OTLP_ENDPOINT", "https://otlp.example.com/base/")]),
            "https://otlp.example.com/base/v1/traces"
        );
        assert_eq!(
            endpoint([
                ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://other:1"),
                ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://own:2/in"),
            ]),
            "http://own:2/in"
        );
    }

    #[test]
    fn a_grpc_endpoint_may_have_no_scheme() {
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        let bare = ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317");
        let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
        assert_eq!(endpoint([grpc]), "http://localhost:4317/");
        assert_eq!(endpoint([grpc, bare]), "https://collector:4317/");
        assert_eq!(endpoint([grpc, bare, insecure]), "http://collector:4317/");
    }

    #[test]
    fn words_are_accepted_in_any_case() {
        let otlp = traces([
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP/JSON"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "GZip"),
        ])
        .unwrap();
        assert_eq!(otlp.protocol, Protocol::Http(Encoding::Json));
        assert!(otlp.gzip);
    }

    #[test]
    fn the_timeout_of_the_batch_bounds_that_of_the_export() {
        let own = ("OTEL_EXPORTER_OTLP_TIMEOUT", "4000");
        let timeout = |batch_timeout| {
            let otlp = traces([own, ("OTEL_BSP_EXPORT_TIMEOUT", batch_timeout)]);
            otlp.unwrap().timeout.as_millis()
        };
        assert_eq!(
            [timeout("3000"), timeout("5000"), timeout("")],
            [3000, 4000, 4000]
        );
    }

    #[test]
    fn outside_development_headers_cross_no_public_network_in_plain_text() {
        let with = |endpoint, headers, protocol| {
            traces([
                ("ENVIRONMENT", "production"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint),
                ("OTEL_EXPORTER_OTLP_HEADERS", headers),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
            ])
        };
        for protocol in ["http/protobuf", "grpc"] {
            let error = with("http://otlp.example.com", "x-api-key=1", protocol).unwrap_err();
            assert!(
                error.to_string().starts_with(
                    "OTEL_EXPORTER_OTLP_ENDPOINT: got `http://***`; takes https:// with headers, as the host is"
                ),
                "{error}"
            );
            for (endpoint, headers) in [
                ("http://otlp.example.com", ""),
                ("https://otlp.example.com", "x-api-key=1"),
                ("http://collector:4318", "x-api-key=1"),
            ] {
                assert!(with(endpoint, headers, protocol).is_ok(), "{endpoint} {headers}");
            }
        }
    }

    #[test]
    fn headers_are_decoded() {
        let otlp = traces([("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b%3D, x-team = shop")]);
        let headers = otlp.unwrap().headers;
        assert_eq!(headers["api-key"], "a b=");
        assert_eq!(headers["x-team"], "shop");
        assert!(!format!("{headers:?}").contains("a b="));
    }

    #[test]
    fn an_invalid_value_is_named_and_a_secret_is_not_shown() {
        let error = |name, value| traces([(name, value)]).unwrap_err().to_string();
        assert_eq!(
            error("OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4318"),
            "OTEL_EXPORTER_OTLP_ENDPOINT: got `localhost:4318`; takes a URL such as http://localhost:4318 or \
             https://otlp.example.com"
        );
        assert_eq!(
            error("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "api-key sk_live_1"),
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS: got `***`; takes a list name=value,name=value of HTTP headers, with \
             percent-encoded values"
        );
        for url in ["ftp://me:secret@host", "ftp://host?key=secret", "host?a@b=secret"] {
            assert!(!error("OTEL_EXPORTER_OTLP_ENDPOINT", url).contains("secret"));
        }
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "thrift"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "brotli"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "10s"),
            ("OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "0"),
            ("OTEL_EXPORTER_OTLP_INSECURE", "yes"),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem"),
        ] {
            assert!(error(name, value).starts_with(&format!("{name}: got `{value}`; takes ")));
        }
    }
}

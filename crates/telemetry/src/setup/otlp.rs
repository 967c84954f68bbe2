//! The `OTEL_EXPORTER_OTLP_*` variables: where one signal goes, how, and with which credentials. A signal's own variable wins
//! over the common one. The exporters would read most of them too, but take no notice of a wrong value.
//! <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>

use std::collections::HashMap;
use std::time::Duration;

use opentelemetry_otlp::{Compression, Protocol};
use percent_encoding::percent_decode_str;
use settings::{Env, SettingError};
use url::Url;

use super::limits;

/// What a request to the collector may take, unless the environment says otherwise.
const TIMEOUT: Duration = Duration::from_secs(10);

/// How to reach the collector for one signal.
#[derive(Debug)]
pub(super) struct Otlp {
    pub(super) protocol: Protocol,
    /// For HTTP with the signal's path.
    pub(super) endpoint: Url,
    pub(super) headers: HashMap<String, String>,
    pub(super) timeout: Duration,
    pub(super) compression: Option<Compression>,
    pub(super) tls: Tls,
}

/// PEM files, as they were read.
#[derive(Debug, Default)]
pub(super) struct Tls {
    /// Whom to trust besides the system's own authorities.
    pub(super) authority: Option<Vec<u8>>,
    /// Who this process is.
    pub(super) identity: Option<Identity>,
}

/// A client certificate and its key.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) certificate: Vec<u8>,
    pub(super) key: Vec<u8>,
}

/// A variable of one signal, and the one for all signals.
type Names = [&'static str; 2];

/// The names of one signal's variables.
#[derive(Debug)]
pub(super) struct Variables {
    pub(super) exporter: &'static str,
    path: &'static str,
    protocol: Names,
    endpoint: Names,
    headers: Names,
    timeout: Names,
    compression: Names,
    insecure: Names,
    certificate: Names,
    client_certificate: Names,
    client_key: Names,
    batch_timeout: &'static str,
}

macro_rules! variables {
    ($signal:literal, $path:literal, $batch_timeout:literal) => {
        Variables {
            exporter: concat!("OTEL_", $signal, "_EXPORTER"),
            path: $path,
            protocol: variables!(both $signal, "PROTOCOL"),
            endpoint: variables!(both $signal, "ENDPOINT"),
            headers: variables!(both $signal, "HEADERS"),
            timeout: variables!(both $signal, "TIMEOUT"),
            compression: variables!(both $signal, "COMPRESSION"),
            insecure: variables!(both $signal, "INSECURE"),
            certificate: variables!(both $signal, "CERTIFICATE"),
            client_certificate: variables!(both $signal, "CLIENT_CERTIFICATE"),
            client_key: variables!(both $signal, "CLIENT_KEY"),
            batch_timeout: $batch_timeout,
        }
    };
    (both $signal:literal, $what:literal) => {
        [
            concat!("OTEL_EXPORTER_OTLP_", $signal, "_", $what),
            concat!("OTEL_EXPORTER_OTLP_", $what),
        ]
    };
}

pub(super) const TRACES: Variables = variables!("TRACES", "v1/traces", "OTEL_BSP_EXPORT_TIMEOUT");
pub(super) const METRICS: Variables = variables!("METRICS", "v1/metrics", "OTEL_METRIC_EXPORT_TIMEOUT");
pub(super) const LOGS: Variables = variables!("LOGS", "v1/logs", "OTEL_BLRP_EXPORT_TIMEOUT");

impl Otlp {
    pub(super) fn from_env(env: &Env, names: &Variables) -> Result<Self, SettingError> {
        let protocol = read(
            env,
            names.protocol,
            "grpc, http/protobuf or http/json",
            |word| match word.to_ascii_lowercase().as_str() {
                "grpc" => Some(Protocol::Grpc),
                "http/protobuf" => Some(Protocol::HttpBinary),
                "http/json" => Some(Protocol::HttpJson),
                _ => None,
            },
        )?
        .unwrap_or(Protocol::HttpBinary);
        let compression = read(env, names.compression, "gzip or none", |word| {
            match word.to_ascii_lowercase().as_str() {
                "gzip" => Some(Some(Compression::Gzip)),
                "none" => Some(None),
                _ => None,
            }
        })?;
        let timeout = read(env, names.timeout, "a number of milliseconds above 0", |text| {
            text.parse().ok().filter(|milliseconds| *milliseconds > 0)
        })?;
        let timeout = timeout.map_or(TIMEOUT, Duration::from_millis);
        let of_batch = limits::milliseconds(env, names.batch_timeout, 30_000)?;
        Ok(Self {
            protocol,
            endpoint: endpoint(env, names, protocol)?,
            headers: headers(env, names.headers)?,
            // One bounds what the exporter does for a batch, the other what the batch waits for the exporter.
            timeout: timeout.min(of_batch),
            compression: compression.flatten(),
            tls: Tls {
                authority: file(env, names.certificate)?,
                identity: identity(env, names)?,
            },
        })
    }
}

/// The first of the two variables that is set, as `parse` reads it.
fn read<T>(
    env: &Env,
    names: Names,
    takes: &str,
    parse: impl FnOnce(&str) -> Option<T>,
) -> Result<Option<T>, SettingError> {
    let Some((name, text)) = first(env, names) else {
        return Ok(None);
    };
    match parse(text) {
        Some(value) => Ok(Some(value)),
        None => Err(SettingError::bad(name, text, takes)),
    }
}

fn first(env: &Env, names: Names) -> Option<(&'static str, &str)> {
    names
        .into_iter()
        .find_map(|name| env.get(name).map(|text| (name, text)))
}

/// HTTP: a signal's own endpoint is taken as it is, the common one gets the signal's path. gRPC: there is no path, and an
/// endpoint without a scheme is TLS unless `..._INSECURE` says otherwise.
fn endpoint(env: &Env, names: &Variables, protocol: Protocol) -> Result<Url, SettingError> {
    const TAKES: &str = "a URL such as http://localhost:4318 or https://otlp.example.com";
    let grpc = protocol == Protocol::Grpc;
    let default = match grpc {
        true => "http://localhost:4317",
        false => "http://localhost:4318",
    };
    let insecure = read(env, names.insecure, "true or false", |text| {
        text.to_ascii_lowercase().parse().ok()
    })?;
    let [own, common] = names.endpoint;
    let (name, text) = first(env, names.endpoint).unwrap_or((common, default));
    let bad = || SettingError::bad(name, without_credentials(text), TAKES);

    let scheme = match insecure {
        Some(true) => "http",
        _ => "https",
    };
    let full = match grpc && !text.contains("://") {
        true => format!("{scheme}://{text}"),
        false => text.to_owned(),
    };
    let mut url = Url::parse(&full).map_err(|_| bad())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(bad());
    }
    if !grpc && name != own {
        let path = format!("{}/{}", url.path().trim_end_matches('/'), names.path);
        url.set_path(&path);
    }
    Ok(url)
}

/// What comes before an `@` may be a password.
fn without_credentials(text: &str) -> String {
    match text.rsplit_once('@') {
        Some((_, host)) => format!("***@{host}"),
        None => text.to_owned(),
    }
}

/// `name=value,name=value`, values percent-encoded. The list holds API keys, so an error does not show it.
fn headers(env: &Env, names: Names) -> Result<HashMap<String, String>, SettingError> {
    let Some((name, list)) = first(env, names) else {
        return Ok(HashMap::new());
    };
    let bad = || {
        let takes = "a list name=value,name=value of HTTP headers, with percent-encoded values";
        SettingError::bad_secret(name, takes)
    };
    let header = |pair: &str| {
        let (name, value) = pair.split_once('=')?;
        let name = http::HeaderName::from_bytes(name.trim().as_bytes()).ok()?;
        let value = percent_decode_str(value.trim()).decode_utf8().ok()?;
        http::HeaderValue::from_str(&value).ok()?;
        Some((name.as_str().to_owned(), value.into_owned()))
    };
    list.split(',')
        .filter(|pair| !pair.trim().is_empty())
        .map(|pair| header(pair).ok_or_else(bad))
        .collect()
}

fn file(env: &Env, names: Names) -> Result<Option<Vec<u8>>, SettingError> {
    read(env, names, "the path of a readable PEM file", |path| {
        std::fs::read(path)
            .ok()
            .filter(|pem| pem.windows(11).any(|window| window == b"-----BEGIN "))
    })
}

fn identity(env: &Env, names: &Variables) -> Result<Option<Identity>, SettingError> {
    let certificate = file(env, names.client_certificate)?;
    let key = file(env, names.client_key)?;
    let [_, client_certificate] = names.client_certificate;
    let [_, client_key] = names.client_key;
    match (certificate, key) {
        (Some(certificate), Some(key)) => Ok(Some(Identity { certificate, key })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(SettingError::missing(
            client_key,
            "the path of the key that belongs to the client certificate",
        )),
        (None, Some(_)) => Err(SettingError::missing(
            client_certificate,
            "the path of the certificate that belongs to the client key",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traces<const N: usize>(pairs: [(&str, &str); N]) -> Result<Otlp, SettingError> {
        Otlp::from_env(&Env::of(pairs), &TRACES)
    }

    fn endpoint<const N: usize>(pairs: [(&str, &str); N]) -> String {
        traces(pairs).unwrap().endpoint.into()
    }

    #[test]
    fn a_signals_own_endpoint_is_taken_as_it_is_and_the_common_one_gets_a_path() {
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
    fn a_grpc_endpoint_may_come_without_a_scheme() {
        let grpc = ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
        let bare = ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4317");
        let insecure = ("OTEL_EXPORTER_OTLP_INSECURE", "true");
        assert_eq!(endpoint([grpc]), "http://localhost:4317/");
        assert_eq!(endpoint([grpc, bare]), "https://collector:4317/");
        assert_eq!(endpoint([grpc, bare, insecure]), "http://collector:4317/");
    }

    #[test]
    fn words_are_taken_in_any_case() {
        let otlp = traces([
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP/JSON"),
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "GZip"),
        ])
        .unwrap();
        assert_eq!(otlp.protocol, Protocol::HttpJson);
        assert_eq!(otlp.compression, Some(Compression::Gzip));
    }

    #[test]
    fn an_export_ends_when_its_batch_may_wait_no_longer() {
        let own = ("OTEL_EXPORTER_OTLP_TIMEOUT", "4000");
        let timeout = |of_batch| {
            let otlp = traces([own, ("OTEL_BSP_EXPORT_TIMEOUT", of_batch)]);
            otlp.unwrap().timeout.as_millis()
        };
        assert_eq!(
            [timeout("3000"), timeout("5000"), timeout("")],
            [3000, 4000, 4000]
        );
    }

    #[test]
    fn headers_are_decoded() {
        let otlp = traces([("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b%3D, x-team = shop")]);
        let headers = otlp.unwrap().headers;
        assert_eq!(headers.get("api-key").map(String::as_str), Some("a b="));
        assert_eq!(headers.get("x-team").map(String::as_str), Some("shop"));
    }

    #[test]
    fn a_wrong_value_is_named_and_a_secret_is_not_shown() {
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
        assert!(!error("OTEL_EXPORTER_OTLP_ENDPOINT", "ftp://me:secret@host").contains("secret"));
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

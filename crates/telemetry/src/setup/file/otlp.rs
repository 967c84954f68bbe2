//! `otlp_http` and `otlp_grpc` of exporters.

use std::path::Path;

use http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry_sdk::metrics::Temporality;
use serde::Deserialize;
use url::Url;

use super::purpose::Purpose;
use super::refusal::Refusal;
use super::values::Milliseconds;
#[cfg(feature = "http-proto")]
use crate::export;
use crate::setup::otlp::{self, Identity, Protocol, Tls};
use crate::setup::signal::{METRICS, Signal};

/// The keys of both protocols and all signals. [`Otlp::build`] refuses those that are for others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Otlp {
    endpoint: Option<String>,
    #[serde(default)]
    tls: TlsFiles,
    #[serde(default)]
    headers: Vec<Header>,
    headers_list: Option<HeaderList>,
    compression: Option<Compression>,
    timeout: Option<Milliseconds>,
    encoding: Option<Encoding>,
    temporality_preference: Option<TemporalityPreference>,
    default_histogram_aggregation: Option<HistogramAggregation>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TlsFiles {
    ca_file: Option<String>,
    key_file: Option<String>,
    cert_file: Option<String>,
    insecure: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    name: Name,
    /// `None` leaves the header out.
    value: Option<Secret>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Name(HeaderName);

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let name = HeaderName::from_bytes(text.as_bytes());
        name.map(Self).map_err(|_| "takes the name of an HTTP header")
    }
}

/// Its Debug does not show it, and no refusal does.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Secret(HeaderValue);

impl TryFrom<String> for Secret {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let value = otlp::secret_value(&text);
        value.map(Self).ok_or("takes the value of an HTTP header")
    }
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct HeaderList(HeaderMap);

impl TryFrom<String> for HeaderList {
    type Error = String;

    fn try_from(list: String) -> Result<Self, String> {
        let headers = otlp::parse_headers(&list);
        headers
            .map(Self)
            .ok_or_else(|| format!("takes {}", otlp::HEADERS))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Compression {
    Gzip,
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Encoding {
    Protobuf,
    #[cfg(feature = "http-json")]
    Json,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TemporalityPreference {
    Cumulative,
    Delta,
    LowMemory,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum HistogramAggregation {
    ExplicitBucketHistogram,
}

impl Otlp {
    pub(super) fn temporality(&self) -> Temporality {
        match self.temporality_preference {
            None | Some(TemporalityPreference::Cumulative) => Temporality::Cumulative,
            Some(TemporalityPreference::Delta) => Temporality::Delta,
            Some(TemporalityPreference::LowMemory) => Temporality::LowMemory,
        }
    }

    #[cfg(feature = "http-proto")]
    pub(super) fn http(&self) -> Protocol {
        Protocol::Http(match self.encoding {
            None | Some(Encoding::Protobuf) => export::Encoding::Protobuf,
            #[cfg(feature = "http-json")]
            Some(Encoding::Json) => export::Encoding::Json,
        })
    }

    pub(super) fn build(self, protocol: Protocol, purpose: Purpose<'_>) -> Result<otlp::Otlp, Refusal> {
        self.refuse_misplaced(protocol, purpose.signal)?;
        let endpoint = self.endpoint(protocol, purpose.signal)?;
        let headers = merge(self.headers_list, self.headers);
        otlp::check_plaintext(purpose.env, "endpoint", &endpoint, &headers)
            .map_err(|error| Refusal::new(error.to_string()))?;
        let timeout = self.timeout.map_or(otlp::DEFAULT_TIMEOUT, |timeout| timeout.0);
        Ok(otlp::Otlp {
            protocol,
            endpoint,
            headers,
            timeout: timeout.min(purpose.batch_timeout),
            gzip: self.compression == Some(Compression::Gzip),
            tls: self
                .tls
                .build(protocol)
                .map_err(|refusal| refusal.within("tls"))?,
        })
    }

    fn refuse_misplaced(&self, protocol: Protocol, signal: &Signal) -> Result<(), Refusal> {
        let is_metrics = signal.name == METRICS.name;
        let is_misplaced = [
            ("encoding", protocol.is_grpc() && self.encoding.is_some()),
            (
                "temporality_preference",
                !is_metrics && self.temporality_preference.is_some(),
            ),
            (
                "default_histogram_aggregation",
                !is_metrics && self.default_histogram_aggregation.is_some(),
            ),
        ];
        match is_misplaced.into_iter().find(|(_, is_misplaced)| *is_misplaced) {
            Some((key, _)) => Err(Refusal::new("does not exist here").within(key)),
            None => Ok(()),
        }
    }

    /// The file's endpoint has the signal's path.
    fn endpoint(&self, protocol: Protocol, signal: &Signal) -> Result<Url, Refusal> {
        let default = if protocol.is_grpc() {
            "http://localhost:4317".to_owned()
        } else {
            format!("http://localhost:4318/{}", signal.path)
        };
        let text = self.endpoint.as_deref().unwrap_or(&default);
        let is_insecure = self.tls.insecure == Some(true);
        otlp::parse_endpoint(text, protocol, is_insecure).ok_or_else(|| {
            let got = otlp::without_secrets(text);
            Refusal::new(format!("got `{got}`; takes {}", otlp::ENDPOINT)).within("endpoint")
        })
    }
}

/// Those that have their own key override those of the list.
fn merge(list: Option<HeaderList>, headers: Vec<Header>) -> HeaderMap {
    let mut merged = list.map(|list| list.0).unwrap_or_default();
    for Header { name, value } in headers {
        if let Some(value) = value {
            merged.insert(name.0, value.0);
        }
    }
    merged
}

impl TlsFiles {
    fn build(self, protocol: Protocol) -> Result<Tls, Refusal> {
        if self.insecure.is_some() && !protocol.is_grpc() {
            return Err(Refusal::new("does not exist here").within("insecure"));
        }
        let certificate = read_pem("cert_file", self.cert_file)?;
        let key = read_pem("key_file", self.key_file)?;
        let identity = match (certificate, key) {
            (Some(certificate), Some(key)) => Some(Identity {
                certificate,
                key: key.into(),
            }),
            (None, None) => None,
            (Some(_), None) => return Err(Refusal::new("key_file is required with cert_file")),
            (None, Some(_)) => return Err(Refusal::new("cert_file is required with key_file")),
        };
        let authority = read_pem("ca_file", self.ca_file)?;
        Ok(Tls { authority, identity })
    }
}

fn read_pem(key: &str, path: Option<String>) -> Result<Option<Vec<u8>>, Refusal> {
    let Some(path) = path else {
        return Ok(None);
    };
    let pem = otlp::read_pem(&path).filter(|_| Path::new(&path).is_absolute());
    match pem {
        Some(pem) => Ok(Some(pem)),
        None => {
            let reason = format!("got `{path}`; takes the absolute path of a readable PEM file");
            Err(Refusal::new(reason).within(key))
        }
    }
}

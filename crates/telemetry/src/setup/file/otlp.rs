//! `otlp_http` and `otlp_grpc` of exporters.

use std::path::Path;

use http::{HeaderMap, HeaderName};
use opentelemetry_sdk::metrics::Temporality;

use super::node::Malformation;
use super::place::{Place, each, keys, optional};
use super::purpose::Purpose;
#[cfg(feature = "http-proto")]
use crate::export::Encoding;
use crate::setup::exporter::Exporter;
use crate::setup::otlp::{self, Identity, Otlp, Protocol, Tls};
use crate::setup::signal::METRICS;

const COMPRESSIONS: [(&str, bool); 2] = [("gzip", true), ("none", false)];
const ENCODINGS: &[(&str, Protocol)] = &[
    #[cfg(feature = "http-proto")]
    ("protobuf", Protocol::Http(Encoding::Protobuf)),
    #[cfg(feature = "http-json")]
    ("json", Protocol::Http(Encoding::Json)),
];
const TEMPORALITIES: [(&str, Temporality); 3] = [
    ("cumulative", Temporality::Cumulative),
    ("delta", Temporality::Delta),
    ("low_memory", Temporality::LowMemory),
];

#[cfg(feature = "http-proto")]
pub(super) fn http(place: &Place<'_>, purpose: Purpose<'_>) -> Result<(Exporter, Temporality), Malformation> {
    read(place, Protocol::Http(Encoding::Protobuf), purpose)
}

#[cfg(feature = "grpc")]
pub(super) fn grpc(place: &Place<'_>, purpose: Purpose<'_>) -> Result<(Exporter, Temporality), Malformation> {
    read(place, Protocol::Grpc, purpose)
}

/// `protocol` is the one unless there is an `encoding`.
fn read(
    place: &Place<'_>,
    protocol: Protocol,
    purpose: Purpose<'_>,
) -> Result<(Exporter, Temporality), Malformation> {
    let [
        endpoint,
        tls,
        headers,
        headers_list,
        compression,
        timeout,
        encoding,
        temporality,
        aggregation,
    ] = place.keys([
        "endpoint",
        "tls",
        "headers",
        "headers_list",
        "compression",
        "timeout",
        "encoding",
        "temporality_preference",
        "default_histogram_aggregation",
    ])?;
    let is_metrics = purpose.signal.name == METRICS.name;
    let encoded = for_some(encoding, !protocol.is_grpc(), |it| it.word(ENCODINGS))?;
    let temporality = for_some(temporality, is_metrics, |it| it.word(&TEMPORALITIES))?;
    for_some(aggregation, is_metrics, |it| {
        it.word(&[("explicit_bucket_histogram", ())])
    })?;
    let protocol = encoded.unwrap_or(protocol);
    let (tls, is_insecure) = read_tls(tls.as_ref(), protocol)?;
    let mut default = protocol.default_endpoint().to_owned();
    if !protocol.is_grpc() {
        // The file's endpoint has the signal's path.
        default = format!("{default}/{}", purpose.signal.path);
    }
    let text = optional(endpoint.as_ref(), Place::text)?.unwrap_or(&default);
    let endpoint = otlp::parse_endpoint(text, protocol, is_insecure).ok_or_else(|| {
        let got = otlp::without_secrets(text);
        let place = endpoint.as_ref().unwrap_or(place);
        place.refuse(format!("got `{got}`; takes {}", otlp::ENDPOINT))
    })?;
    let headers = read_headers(headers_list.as_ref(), headers.as_ref())?;
    otlp::check_plaintext(purpose.env, "endpoint", &endpoint, &headers)
        .map_err(|error| place.refuse(error.to_string()))?;
    let timeout = optional(timeout.as_ref(), Place::milliseconds)?.unwrap_or(otlp::DEFAULT_TIMEOUT);
    let gzip = optional(compression.as_ref(), |it| it.word(&COMPRESSIONS))?;
    let otlp = Otlp {
        protocol,
        endpoint,
        headers,
        timeout: timeout.min(purpose.batch_timeout),
        gzip: gzip.unwrap_or_default(),
        tls,
    };
    let temporality = temporality.unwrap_or(Temporality::Cumulative);
    Ok((Exporter::Otlp(Box::new(otlp)), temporality))
}

/// The value of a key that only some protocols or signals have.
fn for_some<'a, T>(
    place: Option<Place<'a>>,
    exists: bool,
    read: impl FnOnce(&Place<'a>) -> Result<T, Malformation>,
) -> Result<Option<T>, Malformation> {
    let value = optional(place.as_ref(), read)?;
    match place {
        Some(place) if value.is_some() && !exists => Err(place.refuse("does not exist here")),
        _ => Ok(value),
    }
}

/// Those that have their own key override those of the list.
fn read_headers(list: Option<&Place<'_>>, headers: Option<&Place<'_>>) -> Result<HeaderMap, Malformation> {
    let listed = optional(list, |place| place.secret(otlp::HEADERS, otlp::parse_headers))?;
    let headers = each(headers, |place| {
        let [name, value] = place.keys(["name", "value"])?;
        let parse = |text: &str| HeaderName::from_bytes(text.as_bytes()).ok();
        let name = place.required("name", name)?;
        let name = name.secret("the name of an HTTP header", parse)?;
        // `null` leaves the header out.
        let value = optional(value.as_ref(), |place| {
            place.secret("the value of an HTTP header", otlp::secret_value)
        })?;
        Ok(value.map(|value| (name, value)))
    })?;
    let mut merged = listed.unwrap_or_default();
    for (name, value) in headers.into_iter().flatten() {
        merged.insert(name, value);
    }
    Ok(merged)
}

/// The contents of the files, and whether there is no TLS unless the endpoint's scheme is `https`.
fn read_tls(place: Option<&Place<'_>>, protocol: Protocol) -> Result<(Tls, bool), Malformation> {
    let [authority, key, certificate, insecure] =
        keys(place, ["ca_file", "key_file", "cert_file", "insecure"])?;
    let is_insecure = for_some(insecure, protocol.is_grpc(), Place::boolean)?;
    let pem = |place: Option<Place<'_>>| {
        optional(place.as_ref(), |place| {
            let absolute = |path: &str| otlp::read_pem(path).filter(|_| Path::new(path).is_absolute());
            place.parsed("the absolute path of a readable PEM file", absolute)
        })
    };
    let (certificate, key) = (pem(certificate)?, pem(key)?);
    let (has_certificate, has_key) = (certificate.is_some(), key.is_some());
    if let Some(place) = place.filter(|_| has_certificate != has_key) {
        let (missing, given) = if has_certificate {
            ("key_file", "cert_file")
        } else {
            ("cert_file", "key_file")
        };
        return Err(place.refuse(format!("{missing} is required with {given}")));
    }
    let identity = certificate.zip(key).map(|(certificate, key)| Identity {
        certificate,
        key: key.into(),
    });
    let authority = pem(authority)?;
    Ok((Tls { authority, identity }, is_insecure == Some(true)))
}

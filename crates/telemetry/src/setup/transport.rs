//! The way to the collector, the same for all three signals: endpoint, headers, time-out, compression and TLS, all as
//! [`Otlp`] has them from the environment.

use opentelemetry_http::HttpClient;
use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_otlp::{ExporterBuildError, WithExportConfig, WithHttpConfig, WithTonicConfig};
use reqwest::blocking::Client;

use super::SetupError;
use super::otlp::{Otlp, Tls};
use crate::export::{Body, Written, WrittenBody};

pub(super) fn grpc<B>(builder: B, otlp: &Otlp) -> Result<B, SetupError>
where
    B: WithExportConfig + WithTonicConfig,
{
    let mut headers = http::HeaderMap::new();
    for (name, value) in &otlp.headers {
        let name = http::HeaderName::from_bytes(name.as_bytes());
        // Both were checked when they were read.
        if let (Ok(name), Ok(value)) = (name, http::HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    let mut builder = builder
        .with_endpoint(otlp.endpoint.as_str())
        .with_timeout(otlp.timeout)
        .with_metadata(MetadataMap::from_headers(headers));
    if let Some(compression) = otlp.compression {
        builder = builder.with_compression(compression);
    }
    if otlp.endpoint.scheme() == "https" {
        builder = builder.with_tls_config(grpc_tls(&otlp.tls));
    }
    Ok(builder)
}

fn grpc_tls(tls: &Tls) -> ClientTlsConfig {
    let mut config = ClientTlsConfig::new().with_enabled_roots();
    if let Some(authority) = &tls.authority {
        config = config.ca_certificate(Certificate::from_pem(authority));
    }
    if let Some(identity) = &tls.identity {
        config = config.identity(Identity::from_pem(&identity.certificate, &identity.key));
    }
    config
}

pub(super) fn http<B>(builder: B, otlp: &Otlp) -> Result<B, SetupError>
where
    B: WithExportConfig + WithHttpConfig,
{
    Ok(with_http(builder, otlp, http_client(otlp)?))
}

/// An exporter over HTTP whose requests are written by us; `build` makes the one that sends them.
pub(super) fn written<B, E>(
    builder: B,
    otlp: &Otlp,
    build: impl FnOnce(B) -> Result<E, SetupError>,
) -> Result<Written<E>, SetupError>
where
    B: WithExportConfig + WithHttpConfig,
{
    let body = Body::default();
    let client = WrittenBody {
        client: http_client(otlp)?,
        body: body.clone(),
    };
    let exporter = build(with_http(builder, otlp, client))?;
    Ok(Written::new(exporter, body, otlp.compression.is_some()))
}

fn with_http<B>(builder: B, otlp: &Otlp, client: impl HttpClient + 'static) -> B
where
    B: WithExportConfig + WithHttpConfig,
{
    let mut builder = builder
        .with_protocol(otlp.protocol)
        .with_endpoint(otlp.endpoint.as_str())
        .with_timeout(otlp.timeout)
        .with_headers(otlp.headers.clone())
        .with_http_client(client);
    if let Some(compression) = otlp.compression {
        builder = builder.with_compression(compression);
    }
    builder
}

/// The batch processors export from threads of their own, so the client blocks; it must be made outside the runtime's threads.
fn http_client(otlp: &Otlp) -> Result<Client, SetupError> {
    let building = std::thread::scope(|scope| {
        let build = || -> Result<Client, reqwest::Error> {
            let mut client = Client::builder().timeout(otlp.timeout);
            if let Some(authority) = &otlp.tls.authority {
                let bundle = reqwest::Certificate::from_pem_bundle(authority)?;
                client = client.tls_certs_merge(bundle);
            }
            if let Some(identity) = &otlp.tls.identity {
                let pem = [&identity.certificate, b"\n".as_slice(), &identity.key].concat();
                client = client.identity(reqwest::Identity::from_pem(&pem)?);
            }
            client.build()
        };
        scope.spawn(build).join()
    });
    match building {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(source)) => Err(SetupError::Client(source.to_string())),
        Err(_) => Err(SetupError::Client(
            "no TLS provider is installed in this process; call \
             rustls::crypto::ring::default_provider().install_default() first"
                .to_owned(),
        )),
    }
}

pub(super) fn failed(signal: &'static str) -> impl Fn(ExporterBuildError) -> SetupError {
    move |source| SetupError::Exporter { signal, source }
}

//! The connection to the collector, the same for all three signals: endpoint, headers, timeout, compression
//! and TLS as [`Otlp`] has them from the environment.
//!
//! gRPC is left to `opentelemetry-otlp`: it needs tonic's generated clients, and what the own encoding saves
//! is not worth a second exporter for the less common protocol.

use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_otlp::{Compression, WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use reqwest::Client;
use reqwest::redirect::Policy;
use settings::ExposeSecret;

use super::error::SetupError;
use super::otlp::{Otlp, Tls};
use crate::export::{Encoding, HttpExporter};

pub(super) fn grpc<B>(builder: B, otlp: &Otlp) -> B
where
    B: WithExportConfig + WithTonicConfig,
{
    let mut builder = builder
        .with_endpoint(otlp.endpoint.as_str())
        .with_timeout(otlp.timeout)
        .with_metadata(MetadataMap::from_headers(otlp.headers.clone()));
    if otlp.gzip {
        builder = builder.with_compression(Compression::Gzip);
    }
    if otlp.endpoint.scheme() == "https" {
        builder = builder.with_tls_config(grpc_tls(&otlp.tls));
    }
    builder
}

fn grpc_tls(tls: &Tls) -> ClientTlsConfig {
    let mut config = ClientTlsConfig::new().with_enabled_roots();
    if let Some(authority) = &tls.authority {
        config = config.ca_certificate(Certificate::from_pem(authority));
    }
    if let Some(identity) = &tls.identity {
        config = config.identity(Identity::from_pem(
            &identity.certificate,
            identity.key.expose_secret(),
        ));
    }
    config
}

pub(super) fn http(otlp: &Otlp, encoding: Encoding) -> Result<HttpExporter, SetupError> {
    Ok(HttpExporter {
        client: http_client(otlp)?,
        endpoint: otlp.endpoint.clone(),
        headers: otlp.headers.clone(),
        encoding,
        gzip: otlp.gzip,
        timeout: otlp.timeout,
        resource: Resource::builder_empty().build(),
        temporality: Temporality::default(),
    })
}

/// A client. Building it panics without a TLS provider, so that is done on a thread.
fn http_client(otlp: &Otlp) -> Result<Client, SetupError> {
    let building = std::thread::scope(|scope| {
        let build = || -> Result<Client, reqwest::Error> {
            // A redirect would send the headers, with their API keys, to another server.
            let mut client = Client::builder().timeout(otlp.timeout).redirect(Policy::none());
            if let Some(authority) = &otlp.tls.authority {
                let bundle = reqwest::Certificate::from_pem_bundle(authority)?;
                client = client.tls_certs_merge(bundle);
            }
            if let Some(identity) = &otlp.tls.identity {
                let pem = [
                    &identity.certificate,
                    b"\n".as_slice(),
                    identity.key.expose_secret(),
                ]
                .concat();
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

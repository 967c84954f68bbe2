//! OTLP over gRPC, which is left to `opentelemetry-otlp`: it needs tonic's generated clients, and what the
//! own encoding saves is not worth a second exporter for the less common protocol.

use std::sync::Arc;

use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_otlp::{
    Compression, ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::metrics::Temporality;
use settings::ExposeSecret;

use super::tls;
use crate::export::{Accounting, Counted, ExportRuntime};
use crate::setup::error::SetupError;
use crate::setup::otlp::{Otlp, Tls};

pub(super) fn spans(otlp: &Otlp, accounting: &Arc<Accounting>) -> Result<Counted<SpanExporter>, SetupError> {
    let builder = SpanExporter::builder().with_tonic();
    counted("traces", accounting, || connected(builder, otlp).build())
}

pub(super) fn records(otlp: &Otlp, accounting: &Arc<Accounting>) -> Result<Counted<LogExporter>, SetupError> {
    let builder = LogExporter::builder().with_tonic();
    counted("logs", accounting, || connected(builder, otlp).build())
}

pub(super) fn metrics(
    otlp: &Otlp,
    temporality: Temporality,
    accounting: &Arc<Accounting>,
) -> Result<Counted<MetricExporter>, SetupError> {
    let builder = MetricExporter::builder().with_temporality(temporality);
    counted("metrics", accounting, || {
        connected(builder.with_tonic(), otlp).build()
    })
}

/// The exporter with a runtime, on which its client starts tasks.
fn counted<E>(
    signal: &'static str,
    accounting: &Arc<Accounting>,
    build: impl FnOnce() -> Result<E, ExporterBuildError>,
) -> Result<Counted<E>, SetupError> {
    tls::provider()?;
    let runtime = ExportRuntime::new().map_err(SetupError::client)?;
    let exporter = runtime.within(build).map_err(SetupError::exporter(signal))?;
    Ok(Counted::new(exporter, accounting, Some(runtime)))
}

fn connected<B>(builder: B, otlp: &Otlp) -> B
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
        builder = builder.with_tls_config(tls_config(&otlp.tls));
    }
    builder
}

fn tls_config(tls: &Tls) -> ClientTlsConfig {
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

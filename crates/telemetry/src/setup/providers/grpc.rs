//! OTLP over gRPC, which is left to `opentelemetry-otlp`: it needs tonic's generated clients, and what the
//! own encoding saves is not worth a second exporter for the less common protocol.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp::tonic_types::metadata::MetadataMap;
use opentelemetry_otlp::tonic_types::transport::{Certificate, ClientTlsConfig, Identity};
use opentelemetry_otlp::{
    Compression, ExporterBuildError, LogExporter, MetricExporter, SpanExporter, WithExportConfig,
    WithTonicConfig,
};
use opentelemetry_sdk::logs::LogProcessor;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, Temporality};
use opentelemetry_sdk::trace::SpanProcessor;
use settings::ExposeSecret;

use super::tls;
use crate::export::{Accounting, Counted, ExportRuntime};
use crate::setup::error::SetupError;
use crate::setup::limits::Batch;
use crate::setup::otlp::{Otlp, Tls};
use crate::setup::queued;

pub(super) fn spans(
    otlp: &Otlp,
    batch: Batch,
    accounting: &Arc<Accounting>,
) -> Result<Box<dyn SpanProcessor>, SetupError> {
    let build = || connected(SpanExporter::builder().with_tonic(), otlp).build();
    Ok(queued::spans(batch, counted("traces", accounting, build)?))
}

pub(super) fn records(
    otlp: &Otlp,
    batch: Batch,
    accounting: &Arc<Accounting>,
) -> Result<Box<dyn LogProcessor>, SetupError> {
    let build = || connected(LogExporter::builder().with_tonic(), otlp).build();
    Ok(queued::records(batch, counted("logs", accounting, build)?))
}

pub(super) fn metrics(
    provider: MeterProviderBuilder,
    otlp: &Otlp,
    interval: Duration,
    temporality: Temporality,
    accounting: &Arc<Accounting>,
) -> Result<MeterProviderBuilder, SetupError> {
    let builder = MetricExporter::builder().with_temporality(temporality);
    let build = || connected(builder.with_tonic(), otlp).build();
    let exporter = counted("metrics", accounting, build)?;
    Ok(queued::periodic(provider, interval, exporter))
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

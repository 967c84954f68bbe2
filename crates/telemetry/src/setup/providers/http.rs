//! OTLP over HTTP: endpoint, headers, timeout, compression and TLS as [`Otlp`] has them from the environment.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::LogProcessor;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, Temporality};
use opentelemetry_sdk::trace::SpanProcessor;
use reqwest::Client;
use reqwest::redirect::Policy;
use settings::ExposeSecret;

use super::tls;
use crate::export::{
    Accounting, Counted, EncodedRecords, EncodedSpans, Encoding, ExportQueue, ExportRuntime, HttpExporter,
};
use crate::setup::error::SetupError;
use crate::setup::limits::Batch;
use crate::setup::otlp::Otlp;
use crate::setup::queued;

pub(super) fn spans(
    otlp: &Otlp,
    encoding: Encoding,
    resource: &Resource,
    batch: Batch,
    accounting: &Arc<Accounting>,
) -> Result<Box<dyn SpanProcessor>, SetupError> {
    let exporter = HttpExporter {
        resource: resource.clone(),
        ..exporter(otlp, encoding)?
    };
    Ok(match encoding {
        Encoding::Protobuf => Box::new(EncodedSpans(queue(batch, exporter, accounting)?)),
        #[cfg(feature = "http-json")]
        Encoding::Json => queued::spans(batch, counted(exporter, accounting)?),
    })
}

pub(super) fn records(
    otlp: &Otlp,
    encoding: Encoding,
    resource: &Resource,
    batch: Batch,
    accounting: &Arc<Accounting>,
) -> Result<Box<dyn LogProcessor>, SetupError> {
    let exporter = HttpExporter {
        resource: resource.clone(),
        ..exporter(otlp, encoding)?
    };
    Ok(match encoding {
        Encoding::Protobuf => Box::new(EncodedRecords(queue(batch, exporter, accounting)?)),
        #[cfg(feature = "http-json")]
        Encoding::Json => queued::records(batch, counted(exporter, accounting)?),
    })
}

pub(super) fn metrics(
    provider: MeterProviderBuilder,
    otlp: &Otlp,
    encoding: Encoding,
    interval: Duration,
    temporality: Temporality,
    accounting: &Arc<Accounting>,
) -> Result<MeterProviderBuilder, SetupError> {
    let exporter = HttpExporter {
        temporality,
        ..exporter(otlp, encoding)?
    };
    Ok(queued::periodic(
        provider,
        interval,
        counted(exporter, accounting)?,
    ))
}

fn runtime() -> Result<ExportRuntime, SetupError> {
    ExportRuntime::new().map_err(SetupError::client)
}

fn queue(
    batch: Batch,
    exporter: HttpExporter,
    accounting: &Arc<Accounting>,
) -> Result<ExportQueue, SetupError> {
    let started = ExportQueue::start(batch.size, batch.delay, exporter, accounting, runtime()?);
    started.map_err(SetupError::client)
}

fn counted(
    exporter: HttpExporter,
    accounting: &Arc<Accounting>,
) -> Result<Counted<HttpExporter>, SetupError> {
    Ok(Counted::new(exporter, accounting, Some(runtime()?)))
}

fn exporter(otlp: &Otlp, encoding: Encoding) -> Result<HttpExporter, SetupError> {
    tls::provider()?;
    Ok(HttpExporter {
        client: client(otlp).map_err(SetupError::client)?,
        endpoint: otlp.endpoint.clone(),
        headers: otlp.headers.clone(),
        encoding,
        gzip: otlp.gzip,
        timeout: otlp.timeout,
        resource: Resource::builder_empty().build(),
        temporality: Temporality::default(),
    })
}

fn client(otlp: &Otlp) -> Result<Client, reqwest::Error> {
    // A redirect would send the headers, with their API keys, to another server.
    let mut client = Client::builder().timeout(otlp.timeout).redirect(Policy::none());
    if let Some(authority) = &otlp.tls.authority {
        client = client.tls_certs_merge(reqwest::Certificate::from_pem_bundle(authority)?);
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
}

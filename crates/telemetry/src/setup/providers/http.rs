//! OTLP over HTTP: endpoint, headers, timeout, compression and TLS as [`Otlp`] has them from the environment.

use std::sync::Arc;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::metrics::Temporality;
use reqwest::Client;
use reqwest::redirect::Policy;
use settings::ExposeSecret;

use super::tls;
use crate::export::{Accounting, Counted, Encoding, ExportQueue, ExportRuntime, HttpExporter};
use crate::setup::error::SetupError;
use crate::setup::limits::Batch;
use crate::setup::otlp::Otlp;

/// The queue of records that are encoded where they end, as protobuf.
pub(super) fn queue(
    otlp: &Otlp,
    resource: &Resource,
    batch: Batch,
    accounting: &Arc<Accounting>,
) -> Result<ExportQueue, SetupError> {
    let exporter = exporter(otlp, Encoding::Protobuf, resource, Temporality::default())?;
    let started = ExportQueue::start(batch.size, batch.delay, exporter, accounting, runtime()?);
    started.map_err(SetupError::client)
}

/// An exporter that encodes batches of the SDK. `temporality` is for metrics, `resource` for all others.
pub(super) fn counted(
    otlp: &Otlp,
    encoding: Encoding,
    resource: &Resource,
    temporality: Temporality,
    accounting: &Arc<Accounting>,
) -> Result<Counted<HttpExporter>, SetupError> {
    let exporter = exporter(otlp, encoding, resource, temporality)?;
    Ok(Counted::new(exporter, accounting, Some(runtime()?)))
}

fn runtime() -> Result<ExportRuntime, SetupError> {
    ExportRuntime::new().map_err(SetupError::client)
}

fn exporter(
    otlp: &Otlp,
    encoding: Encoding,
    resource: &Resource,
    temporality: Temporality,
) -> Result<HttpExporter, SetupError> {
    tls::provider()?;
    Ok(HttpExporter {
        client: client(otlp).map_err(SetupError::client)?,
        endpoint: otlp.endpoint.clone(),
        headers: otlp.headers.clone(),
        encoding,
        gzip: otlp.gzip,
        timeout: otlp.timeout,
        resource: resource.clone(),
        temporality,
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

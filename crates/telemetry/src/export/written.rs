//! Spans and log records over OTLP/HTTP as protobuf, the way that most services take: [`protobuf`](super::protobuf) writes what is
//! sent, and `opentelemetry-otlp` sends it, retries and reads the answer.
//!
//! That library would rather write them itself. So it is given none, and its HTTP client puts what was written here in the place
//! of the empty request that comes out.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flate2::write::GzEncoder;
use http::{Request, Response};
use opentelemetry::logs::Severity;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::protobuf;

/// The largest request that is sent, before it is compressed, in bytes: the limit of `opentelemetry-otlp`, which sees only the
/// empty one.
const LARGEST: usize = 64 << 20;

/// The body of the request that is under way; the exporter's next one begins when it is over.
#[derive(Debug, Clone, Default)]
pub(crate) struct Body(Arc<Mutex<Bytes>>);

impl Body {
    fn set(&self, body: Bytes) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = body;
    }

    fn get(&self) -> Bytes {
        let body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.clone()
    }
}

/// Writes spans or log records, and has `exporter` send them.
#[derive(Debug)]
pub(crate) struct Written<E> {
    /// Its HTTP client is a [`WrittenBody`] of the same body.
    exporter: E,
    body: Body,
    /// Whether `exporter` says that the body is compressed.
    is_gzipped: bool,
    resource: Resource,
}

impl<E> Written<E> {
    pub(crate) fn new(exporter: E, body: Body, is_gzipped: bool) -> Self {
        Self {
            exporter,
            body,
            is_gzipped,
            resource: Resource::builder_empty().build(),
        }
    }

    /// Keeps a request as the body of those that are sent by `sending`, the first one and its repetitions.
    async fn send(&self, request: Vec<u8>, sending: impl Future<Output = OTelSdkResult>) -> OTelSdkResult {
        if request.len() > LARGEST {
            let length = request.len();
            return Err(OTelSdkError::InternalFailure(format!(
                "a batch of {length} bytes is larger than the {LARGEST} that a collector takes; lower \
                 OTEL_BSP_MAX_EXPORT_BATCH_SIZE or OTEL_BLRP_MAX_EXPORT_BATCH_SIZE"
            )));
        }
        let request = match self.is_gzipped {
            true => gzipped(&request),
            false => request,
        };
        self.body.set(request.into());
        let result = sending.await;
        self.body.set(Bytes::new());
        result
    }
}

impl<E: SpanExporter> SpanExporter for Written<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let request = protobuf::trace_request(&self.resource, &batch);
        drop(batch);
        self.send(request, self.exporter.export(Vec::new())).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.clone();
        self.exporter.set_resource(resource);
    }
}

impl<E: LogExporter> LogExporter for Written<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let request = protobuf::logs_request(&self.resource, &batch);
        self.send(request, self.exporter.export(LogBatch::new(&[]))).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.exporter.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.clone();
        self.exporter.set_resource(resource);
    }
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    // Writing into memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Sends the body that [`Written`] has made instead of the one that it is given.
#[derive(Debug)]
pub(crate) struct WrittenBody<C> {
    pub(crate) client: C,
    pub(crate) body: Body,
}

#[async_trait]
impl<C: HttpClient> HttpClient for WrittenBody<C> {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.client.send_bytes(request.map(|_| self.body.get())).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_that_no_collector_takes_is_not_sent() {
        let written = Written::new((), Body::default(), false);
        let sending = async { panic!("it was sent") };
        let result = written.send(vec![0; LARGEST + 1], sending).await;
        let error = result.unwrap_err().to_string();
        assert!(error.contains("67108865 bytes is larger"), "{error}");
    }
}

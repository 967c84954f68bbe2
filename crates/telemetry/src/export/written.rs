//! Spans over OTLP/HTTP as protobuf, the way that most services take: [`protobuf`](super::protobuf) writes what is sent, and
//! `opentelemetry-otlp` sends it, retries and reads the answer.
//!
//! That library would rather write the spans itself. So it is given none, and its HTTP client puts what was written here in the
//! place of the request without spans that comes out.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use flate2::write::GzEncoder;
use http::{Request, Response};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::protobuf;

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

/// Writes the spans, and has `exporter` send them.
#[derive(Debug)]
pub(crate) struct WrittenSpans<E> {
    /// Its HTTP client is a [`WrittenBody`] with the same body as here.
    pub(crate) exporter: E,
    pub(crate) body: Body,
    /// Whether `exporter` says that the body is compressed.
    pub(crate) gzip: bool,
    pub(crate) resource: Resource,
}

impl<E: SpanExporter> SpanExporter for WrittenSpans<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let written = protobuf::trace_request(&self.resource, &batch);
        drop(batch);
        self.body.set(match self.gzip {
            true => gzipped(&written).into(),
            false => written.into(),
        });
        let result = self.exporter.export(Vec::new()).await;
        self.body.set(Bytes::new());
        result
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

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
    // Writing into memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Sends [`WrittenSpans`]' body instead of the one that it is given.
#[derive(Debug)]
pub(crate) struct WrittenBody<C> {
    pub(crate) client: C,
    pub(crate) body: Body,
}

#[async_trait]
impl<C: HttpClient> HttpClient for WrittenBody<C> {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        self.client
            .send_bytes(request.map(|_| self.body.get()))
            .await
    }
}

//! Spans on their way out.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use super::Delivery;
use crate::masking;

/// Masks each span, then hands it to `next`.
#[derive(Debug)]
pub(crate) struct Spans<P> {
    pub(crate) next: P,
    pub(crate) delivery: Arc<Delivery>,
    /// How long a text attribute may be, in characters.
    pub(crate) value_length: Option<usize>,
}

impl<P: SpanProcessor> SpanProcessor for Spans<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        if self.delivery.admit() {
            masking::span(&mut span, self.value_length);
            self.next.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.delivery.close();
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// Keeps the books of `exporter`.
#[derive(Debug)]
pub(crate) struct SpanDelivery<E> {
    pub(crate) exporter: E,
    pub(crate) delivery: Arc<Delivery>,
}

impl<E: SpanExporter> SpanExporter for SpanDelivery<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.delivery.taken(spans);
        let result = self.exporter.export(batch).await;
        self.delivery.finished(spans, &result);
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

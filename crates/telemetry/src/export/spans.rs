//! The export of spans: masking and accounting in front of the queue, and accounting behind it.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

use super::accounting::{Accounting, Counted};
use crate::masking;

/// Masks each span, then passes it to `next`.
#[derive(Debug)]
pub(crate) struct MaskedSpans {
    pub(crate) next: Box<dyn SpanProcessor>,
    pub(crate) accounting: Arc<Accounting>,
    /// The longest text attribute, in characters; longer ones are cut.
    pub(crate) value_length: Option<usize>,
}

impl SpanProcessor for MaskedSpans {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        if self.accounting.admit() {
            masking::span(&mut span, self.value_length);
            self.next.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.accounting.close();
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        self.accounting.dequeued(spans);
        let result = self.run(self.exporter.export(batch)).await;
        self.accounting.exported(spans, &result);
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

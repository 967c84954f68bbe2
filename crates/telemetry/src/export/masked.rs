//! Masking for a processor of the program's own.

use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use crate::masking;

/// Masks each span, then passes it to a processor, for a tracer provider that the program makes.
/// [`Builder::span_processor`](crate::Builder::span_processor) masks by itself.
#[derive(Debug)]
pub struct MaskedProcessor<P> {
    next: P,
    value_length: Option<usize>,
}

impl<P: SpanProcessor> MaskedProcessor<P> {
    /// Masks what `next` gets.
    pub fn new(next: P) -> Self {
        Self {
            next,
            value_length: None,
        }
    }

    /// Cuts text attributes that are longer, in characters.
    #[must_use]
    pub fn value_length(mut self, limit: Option<usize>) -> Self {
        self.value_length = limit;
        self
    }
}

impl<P: SpanProcessor> SpanProcessor for MaskedProcessor<P> {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.next.on_start(span, context);
    }

    fn on_end(&self, mut span: SpanData) {
        masking::span(&mut span, self.value_length);
        self.next.on_end(span);
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

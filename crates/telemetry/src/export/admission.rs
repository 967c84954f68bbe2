//! In front of the queues: spans are masked, and what does not fit is counted. Log records are masked where
//! they are made.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::logs::Severity;
use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};

use super::accounting::Accounting;
use crate::masking;

/// Masks each span, then passes it to a processor, for a tracer provider that the program makes.
/// [`Builder::span_processor`](crate::Builder::span_processor) masks by itself.
#[derive(Debug)]
pub struct MaskedProcessor<P> {
    next: P,
    value_length: Option<usize>,
    /// Of the queue of `next`; `None` for a processor of the program.
    accounting: Option<Arc<Accounting>>,
}

impl<P: SpanProcessor> MaskedProcessor<P> {
    /// Masks what `next` gets.
    pub fn new(next: P) -> Self {
        Self {
            next,
            value_length: None,
            accounting: None,
        }
    }

    /// Masks what `next` gets: the spans that fit into its queue.
    pub(crate) fn counted(next: P, value_length: Option<usize>, accounting: Arc<Accounting>) -> Self {
        Self {
            next,
            value_length,
            accounting: Some(accounting),
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
        if self.accounting.as_ref().is_none_or(|it| it.admit()) {
            masking::span(&mut span, self.value_length);
            self.next.on_end(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        if let Some(accounting) = &self.accounting {
            accounting.close();
        }
        self.next.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// Passes the log records that fit into the queue of `next`.
#[derive(Debug)]
pub(crate) struct AdmittedRecords {
    pub(crate) next: Box<dyn LogProcessor>,
    pub(crate) accounting: Arc<Accounting>,
}

impl LogProcessor for AdmittedRecords {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if self.accounting.admit() {
            self.next.emit(record, scope);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.accounting.close();
        self.next.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.next.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

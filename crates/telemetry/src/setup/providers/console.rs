//! The exporters that write to stdout, for a look at what would be sent.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::logs::{LogProcessor, SimpleLogProcessor};
use opentelemetry_sdk::metrics::MeterProviderBuilder;
use opentelemetry_sdk::trace::{SimpleSpanProcessor, SpanProcessor};
use opentelemetry_stdout::{LogExporter, MetricExporter, SpanExporter};

use crate::export::{Accounting, Counted};
use crate::setup::configuration::Processor;
use crate::setup::queued;

pub(super) fn spans(processor: &Processor, accounting: &Arc<Accounting>) -> Box<dyn SpanProcessor> {
    let exporter = Counted::new(SpanExporter::default(), accounting, None);
    if processor.is_simple {
        Box::new(SimpleSpanProcessor::new(exporter))
    } else {
        queued::spans(processor.batch, exporter)
    }
}

pub(super) fn records(processor: &Processor, accounting: &Arc<Accounting>) -> Box<dyn LogProcessor> {
    let exporter = Counted::new(LogExporter::default(), accounting, None);
    if processor.is_simple {
        Box::new(SimpleLogProcessor::new(exporter))
    } else {
        queued::records(processor.batch, exporter)
    }
}

pub(super) fn metrics(
    provider: MeterProviderBuilder,
    interval: Duration,
    accounting: &Arc<Accounting>,
) -> MeterProviderBuilder {
    let exporter = Counted::new(MetricExporter::default(), accounting, None);
    queued::periodic(provider, interval, exporter)
}

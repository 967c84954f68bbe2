//! The exporters that write to stdout, for a look at what would be sent.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::logs::{LogProcessor, SimpleLogProcessor};
use opentelemetry_sdk::metrics::MeterProviderBuilder;
use opentelemetry_sdk::trace::{SimpleSpanProcessor, SpanProcessor};
use opentelemetry_stdout::{LogExporter, MetricExporter, SpanExporter};

use crate::export::{Accounting, Counted};
use crate::setup::queued;

pub(super) fn spans(accounting: &Arc<Accounting>) -> Box<dyn SpanProcessor> {
    let exporter = Counted::new(SpanExporter::default(), accounting, None);
    Box::new(SimpleSpanProcessor::new(exporter))
}

pub(super) fn records(accounting: &Arc<Accounting>) -> Box<dyn LogProcessor> {
    let exporter = Counted::new(LogExporter::default(), accounting, None);
    Box::new(SimpleLogProcessor::new(exporter))
}

pub(super) fn metrics(
    provider: MeterProviderBuilder,
    interval: Duration,
    accounting: &Arc<Accounting>,
) -> MeterProviderBuilder {
    let exporter = Counted::new(MetricExporter::default(), accounting, None);
    queued::periodic(provider, interval, exporter)
}

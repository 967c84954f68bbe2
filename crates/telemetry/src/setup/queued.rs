//! The SDK's queues in front of an exporter, and its periodic reader.

use std::time::Duration;

use opentelemetry_sdk::logs::{self, BatchLogProcessor, LogExporter, LogProcessor};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, PeriodicReader};
use opentelemetry_sdk::trace::{self, BatchSpanProcessor, SpanExporter, SpanProcessor};

use super::limits::Batch;

pub(in crate::setup) fn spans(batch: Batch, exporter: impl SpanExporter + 'static) -> Box<dyn SpanProcessor> {
    let config = trace::BatchConfigBuilder::default()
        .with_max_queue_size(batch.queue)
        .with_max_export_batch_size(batch.size)
        .with_scheduled_delay(batch.delay);
    Box::new(BatchSpanProcessor::new(exporter, config.build()))
}

pub(in crate::setup) fn records(batch: Batch, exporter: impl LogExporter + 'static) -> Box<dyn LogProcessor> {
    let config = logs::BatchConfigBuilder::default()
        .with_max_queue_size(batch.queue)
        .with_max_export_batch_size(batch.size)
        .with_scheduled_delay(batch.delay);
    let processor = BatchLogProcessor::builder(exporter);
    Box::new(processor.with_batch_config(config.build()).build())
}

pub(in crate::setup) fn periodic(
    provider: MeterProviderBuilder,
    interval: Duration,
    exporter: impl PushMetricExporter,
) -> MeterProviderBuilder {
    provider.with_reader(PeriodicReader::builder(exporter).with_interval(interval).build())
}

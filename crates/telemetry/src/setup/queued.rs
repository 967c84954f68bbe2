//! The SDK's queues in front of an exporter, and its periodic reader.

use std::time::Duration;

use opentelemetry_sdk::logs::{self, BatchLogProcessor, LogExporter};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, PeriodicReader};
use opentelemetry_sdk::trace::{self, BatchSpanProcessor, SpanExporter};

use super::limits::Batch;

pub(super) fn spans(batch: Batch, exporter: impl SpanExporter + 'static) -> BatchSpanProcessor {
    let config = trace::BatchConfigBuilder::default()
        .with_max_queue_size(batch.queue)
        .with_max_export_batch_size(batch.size)
        .with_scheduled_delay(batch.delay);
    BatchSpanProcessor::new(exporter, config.build())
}

pub(super) fn records(batch: Batch, exporter: impl LogExporter + 'static) -> BatchLogProcessor {
    let config = logs::BatchConfigBuilder::default()
        .with_max_queue_size(batch.queue)
        .with_max_export_batch_size(batch.size)
        .with_scheduled_delay(batch.delay);
    let processor = BatchLogProcessor::builder(exporter);
    processor.with_batch_config(config.build()).build()
}

pub(super) fn periodic(
    provider: MeterProviderBuilder,
    interval: Duration,
    exporter: impl PushMetricExporter,
) -> MeterProviderBuilder {
    provider.with_reader(PeriodicReader::builder(exporter).with_interval(interval).build())
}

//! Behind the queues: exporters of any signal that report to their accounting.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::logs::Severity;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{SpanData, SpanExporter};

use super::accounting::Accounting;
use super::runtime::ExportRuntime;

/// An exporter with its accounting and its runtime.
#[derive(Debug)]
pub(crate) struct Counted<E> {
    exporter: E,
    accounting: Arc<Accounting>,
    /// `None` for an exporter that does not use a network.
    runtime: Option<ExportRuntime>,
}

impl<E> Counted<E> {
    pub(crate) fn new(exporter: E, accounting: &Arc<Accounting>, runtime: Option<ExportRuntime>) -> Self {
        Self {
            exporter,
            accounting: Arc::clone(accounting),
            runtime,
        }
    }

    /// Runs the export of a batch on the exporter's runtime.
    async fn run(&self, records: usize, export: impl Future<Output = OTelSdkResult>) -> OTelSdkResult {
        self.accounting.dequeued(records);
        let result = match &self.runtime {
            Some(runtime) => runtime.block_on(export),
            None => export.await,
        };
        self.accounting.exported(records, &result);
        result
    }
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        self.run(batch.len(), self.exporter.export(batch)).await
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

impl<E: LogExporter> LogExporter for Counted<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        self.run(batch.iter().count(), self.exporter.export(batch)).await
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.exporter.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

impl<E: PushMetricExporter> PushMetricExporter for Counted<E> {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        // Metrics are not queued.
        self.run(0, self.exporter.export(metrics)).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn temporality(&self) -> Temporality {
        self.exporter.temporality()
    }
}

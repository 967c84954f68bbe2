//! Log records on their way out.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::Severity;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord};

use super::Delivery;
use crate::masking::{self, Masked, RecordLimits};

/// Masks each record, then hands it to `next`.
#[derive(Debug)]
pub(crate) struct Logs<P> {
    pub(crate) next: P,
    pub(crate) delivery: Arc<Delivery>,
    pub(crate) limits: RecordLimits,
}

impl<P: LogProcessor> LogProcessor for Logs<P> {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        if !self.delivery.admit() {
            return;
        }
        match masking::log_record(record, self.limits) {
            Masked::Unchanged => self.next.emit(record, scope),
            Masked::Instead(mut masked) => self.next.emit(&mut masked, scope),
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.next.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.delivery.close();
        self.next.shutdown_with_timeout(timeout)
    }

    fn event_enabled(&self, level: Severity, target: &str, name: Option<&str>) -> bool {
        self.next.event_enabled(level, target, name)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.next.set_resource(resource);
    }
}

/// Keeps the books of `exporter`.
#[derive(Debug)]
pub(crate) struct LogDelivery<E> {
    pub(crate) exporter: E,
    pub(crate) delivery: Arc<Delivery>,
}

impl<E: LogExporter> LogExporter for LogDelivery<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let records = batch.iter().count();
        self.delivery.taken(records);
        let result = self.exporter.export(batch).await;
        self.delivery.finished(records, &result);
        result
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

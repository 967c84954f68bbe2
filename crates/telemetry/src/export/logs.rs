//! The export of log records: accounting in front of the queue and behind it, and the requests over HTTP.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::logs::Severity;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord};

use super::accounting::{Accounting, Counted};
use super::http::{HttpExporter, json};
use super::protobuf;
use super::queue::ExportQueue;

/// Passes the records that fit into the queue to `next`. They are masked already.
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

/// Encodes each record for a request over HTTP.
#[derive(Debug)]
pub(crate) struct EncodedRecords(pub(crate) ExportQueue);

impl LogProcessor for EncodedRecords {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        protobuf::encode_log_record(record, scope, |record| self.0.push(&record));
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.0.flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.0.shut_down(timeout)
    }
}

impl<E: LogExporter> LogExporter for Counted<E> {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let records = batch.iter().count();
        self.accounting.dequeued(records);
        let result = self.run(self.exporter.export(batch)).await;
        self.accounting.exported(records, &result);
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

/// As OTLP/JSON.
impl LogExporter for HttpExporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let resource_logs = group_logs_by_resource_and_scope(&batch, &(&self.resource).into());
        self.send(json(&ExportLogsServiceRequest { resource_logs })?)
            .await
    }
}

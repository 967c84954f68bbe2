//! OTLP/JSON over HTTP.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::logs::tonic::group_logs_by_resource_and_scope;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogBatch, LogExporter};
use opentelemetry_sdk::trace::{SpanData, SpanExporter};
use serde::Serialize;

use super::http::HttpExporter;

/// Encodes a message as OTLP/JSON.
pub(super) fn encode<M: Serialize>(message: &M) -> Result<Vec<u8>, OTelSdkError> {
    let failed = |error| OTelSdkError::InternalFailure(format!("failed to encode OTLP/JSON: {error}"));
    serde_json::to_vec(message).map_err(failed)
}

impl SpanExporter for HttpExporter {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let resource_spans = group_spans_by_resource_and_scope(batch, &(&self.resource).into());
        self.send(encode(&ExportTraceServiceRequest { resource_spans })?)
            .await
    }
}

impl LogExporter for HttpExporter {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        let resource_logs = group_logs_by_resource_and_scope(&batch, &(&self.resource).into());
        self.send(encode(&ExportLogsServiceRequest { resource_logs })?)
            .await
    }
}

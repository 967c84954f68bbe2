//! OTLP's export requests and responses, for both transports.

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use serde::de::DeserializeOwned;

use super::rejection::Rejection;
use crate::otlp::{self, Decoded, MessageSize};
use crate::storage::TelemetryStore;

/// One of OTLP's three export requests.
pub(crate) trait Export: Message + Default + DeserializeOwned + 'static {
    type Response: Message + Default + 'static;

    /// The name of the gRPC service.
    const SERVICE: &'static str;
    /// How large the request is in memory.
    const SIZE: &'static MessageSize;

    /// Decodes and stores an export, which is protobuf.
    fn store(body: &[u8], store: &TelemetryStore) -> Result<Accepted<Self::Response>, Rejection>;
}

/// The response to a valid export. Its JSON is written here: opentelemetry-proto would write an absent
/// `partialSuccess` as null and `rejectedSpans` as a number, against OTLP/JSON.
pub(crate) struct Accepted<R> {
    pub(super) message: R,
    pub(super) json: serde_json::Value,
}

impl Export for ExportTraceServiceRequest {
    type Response = ExportTraceServiceResponse;

    const SERVICE: &'static str = "opentelemetry.proto.collector.trace.v1.TraceService";
    const SIZE: &'static MessageSize = &otlp::TRACES;

    fn store(body: &[u8], store: &TelemetryStore) -> Result<Accepted<Self::Response>, Rejection> {
        let Decoded { spans, rejected } = otlp::spans(body)?;
        store.add_spans(spans);
        if rejected == 0 {
            return Ok(Accepted::fully());
        }
        let reason = format!("{rejected} spans have no valid trace id or span id");
        tracing::warn!("{reason}");
        Ok(Accepted {
            json: serde_json::json!({
                "partialSuccess": { "rejectedSpans": rejected.to_string(), "errorMessage": reason }
            }),
            message: ExportTraceServiceResponse {
                partial_success: Some(ExportTracePartialSuccess {
                    rejected_spans: i64::try_from(rejected).unwrap_or(i64::MAX),
                    error_message: reason,
                }),
            },
        })
    }
}

impl Export for ExportLogsServiceRequest {
    type Response = ExportLogsServiceResponse;

    const SERVICE: &'static str = "opentelemetry.proto.collector.logs.v1.LogsService";
    const SIZE: &'static MessageSize = &otlp::LOGS;

    fn store(body: &[u8], store: &TelemetryStore) -> Result<Accepted<Self::Response>, Rejection> {
        store.add_logs(otlp::logs(Self::decode(body)?.resource_logs));
        Ok(Accepted::fully())
    }
}

impl Export for ExportMetricsServiceRequest {
    type Response = ExportMetricsServiceResponse;

    const SERVICE: &'static str = "opentelemetry.proto.collector.metrics.v1.MetricsService";
    const SIZE: &'static MessageSize = &otlp::METRICS;

    fn store(body: &[u8], store: &TelemetryStore) -> Result<Accepted<Self::Response>, Rejection> {
        store.add_metrics(otlp::metrics(Self::decode(body)?.resource_metrics));
        Ok(Accepted::fully())
    }
}

impl<R: Default> Accepted<R> {
    fn fully() -> Self {
        Self {
            message: R::default(),
            json: serde_json::json!({}),
        }
    }
}

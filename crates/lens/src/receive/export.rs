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

use crate::otlp::{self, Decoded, MessageSize};
use crate::storage::TelemetryStore;

/// One of OTLP's three export requests.
pub(crate) trait Export: Message + Default + DeserializeOwned + 'static {
    type Response: Message + Default + 'static;

    /// The name of the gRPC service.
    const SERVICE: &'static str;
    /// How large the request is in memory.
    const SIZE: &'static MessageSize;

    /// Stores the content.
    fn accept(self, store: &TelemetryStore) -> Accepted<Self::Response>;
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

    fn accept(self, store: &TelemetryStore) -> Accepted<Self::Response> {
        let Decoded { items, rejected } = otlp::spans(self.resource_spans);
        store.add_spans(items);
        if rejected == 0 {
            return Accepted::fully();
        }
        let reason = format!("{rejected} spans have no valid trace id or span id");
        tracing::warn!("{reason}");
        Accepted {
            json: serde_json::json!({
                "partialSuccess": { "rejectedSpans": rejected.to_string(), "errorMessage": reason }
            }),
            message: ExportTraceServiceResponse {
                partial_success: Some(ExportTracePartialSuccess {
                    rejected_spans: i64::try_from(rejected).unwrap_or(i64::MAX),
                    error_message: reason,
                }),
            },
        }
    }
}

impl Export for ExportLogsServiceRequest {
    type Response = ExportLogsServiceResponse;

    const SERVICE: &'static str = "opentelemetry.proto.collector.logs.v1.LogsService";
    const SIZE: &'static MessageSize = &otlp::LOGS;

    fn accept(self, store: &TelemetryStore) -> Accepted<Self::Response> {
        store.add_logs(otlp::logs(self.resource_logs));
        Accepted::fully()
    }
}

impl Export for ExportMetricsServiceRequest {
    type Response = ExportMetricsServiceResponse;

    const SERVICE: &'static str = "opentelemetry.proto.collector.metrics.v1.MetricsService";
    const SIZE: &'static MessageSize = &otlp::METRICS;

    fn accept(self, store: &TelemetryStore) -> Accepted<Self::Response> {
        store.add_metrics(otlp::metrics(self.resource_metrics));
        Accepted::fully()
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

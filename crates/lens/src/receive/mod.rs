//! What both ways in have in common: taking an OTLP export in, and answering it.

mod grpc;
mod http;

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use prost::Message;
use serde::de::DeserializeOwned;

use crate::otlp::{self, Decoded};
use crate::store::TraceStore;

pub(crate) use grpc::routes as grpc_routes;
pub(crate) use http::routes as http_routes;

/// The most that one export may take, as sent and when unpacked. The SDKs' batches stay far below.
const MAX_EXPORT_BYTES: usize = 16 * 1024 * 1024;

/// One of OTLP's three export requests.
trait Export: Message + Default + DeserializeOwned + 'static {
    type Response: Message + Default + 'static;

    /// Stores what it holds.
    fn accept(self, store: &TraceStore) -> Answer<Self::Response>;
}

/// The answer to an export that was read. The specification leaves `partialSuccess` out when all of it was taken.
struct Answer<R> {
    message: R,
    json: serde_json::Value,
}

impl Export for ExportTraceServiceRequest {
    type Response = ExportTraceServiceResponse;

    fn accept(self, store: &TraceStore) -> Answer<Self::Response> {
        let Decoded { items, rejected } = otlp::spans(self.resource_spans);
        store.add_spans(items);
        if rejected == 0 {
            return Answer::all_taken();
        }
        let reason = format!("{rejected} spans came without a valid trace id and span id");
        tracing::warn!("{reason}");
        Answer {
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

    fn accept(self, store: &TraceStore) -> Answer<Self::Response> {
        store.add_logs(otlp::logs(self.resource_logs));
        Answer::all_taken()
    }
}

impl Export for ExportMetricsServiceRequest {
    type Response = ExportMetricsServiceResponse;

    fn accept(self, store: &TraceStore) -> Answer<Self::Response> {
        store.add_metrics(otlp::metrics(self.resource_metrics));
        Answer::all_taken()
    }
}

impl<R: Default> Answer<R> {
    fn all_taken() -> Self {
        Self {
            message: R::default(),
            json: serde_json::json!({}),
        }
    }
}

//! The requests over HTTP: spans and log records are encoded where they end, metrics when they are exported.

use std::time::Duration;

use opentelemetry::{Context, InstrumentationScope};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{Span, SpanData, SpanProcessor};
use prost::Message;

use super::http::{Encoding, HttpExporter};
use super::protobuf;
use super::queue::ExportQueue;

impl SpanProcessor for ExportQueue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if span.span_context.is_sampled() {
            protobuf::encode_span(&span, |span| self.push(&span));
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.shut_down(timeout)
    }
}

impl LogProcessor for ExportQueue {
    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        protobuf::encode_log_record(record, scope, |record| self.push(&record));
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.shut_down(timeout)
    }
}

impl PushMetricExporter for HttpExporter {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let request = ExportMetricsServiceRequest::from(metrics);
        let request = match self.encoding {
            Encoding::Protobuf => request.encode_to_vec(),
            #[cfg(feature = "http-json")]
            Encoding::Json => super::json::encode(&request)?,
        };
        self.send(request).await
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        self.temporality
    }
}

//! OTLP over gRPC: the three collector services, plain or gzip.

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{LogsService, LogsServiceServer};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_server::{
    MetricsService, MetricsServiceServer,
};
use opentelemetry_proto::tonic::collector::metrics::v1::{
    ExportMetricsServiceRequest, ExportMetricsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tonic::codec::CompressionEncoding::Gzip;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::export::{Export, MAX_EXPORT_BYTES};
use crate::storage::TelemetryStore;

pub(crate) fn routes(store: &TelemetryStore) -> Routes {
    let receiver = || Receiver { store: store.clone() };
    let traces = TraceServiceServer::new(receiver());
    let metrics = MetricsServiceServer::new(receiver());
    let logs = LogsServiceServer::new(receiver());
    Routes::new(
        traces
            .accept_compressed(Gzip)
            .max_decoding_message_size(MAX_EXPORT_BYTES),
    )
    .add_service(
        metrics
            .accept_compressed(Gzip)
            .max_decoding_message_size(MAX_EXPORT_BYTES),
    )
    .add_service(
        logs.accept_compressed(Gzip)
            .max_decoding_message_size(MAX_EXPORT_BYTES),
    )
}

struct Receiver {
    store: TelemetryStore,
}

impl Receiver {
    fn accept<E: Export>(&self, request: Request<E>) -> Result<Response<E::Response>, Status> {
        Ok(Response::new(request.into_inner().accept(&self.store).message))
    }
}

#[tonic::async_trait]
impl TraceService for Receiver {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.accept(request)
    }
}

#[tonic::async_trait]
impl MetricsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportMetricsServiceRequest>,
    ) -> Result<Response<ExportMetricsServiceResponse>, Status> {
        self.accept(request)
    }
}

#[tonic::async_trait]
impl LogsService for Receiver {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.accept(request)
    }
}

//! What `fuzz/` calls.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;

use crate::otlp::traces_data;
use crate::receive::{Format, Intake};
use crate::storage::TelemetryStore;
use crate::waterfall::text;

/// A kind of telemetry.
#[derive(Debug, Clone, Copy)]
pub enum Signal {
    Traces,
    Logs,
    Metrics,
}

/// Takes an export, draws the traces of those that are accepted, and converts them back.
pub fn export(signal: Signal, is_json: bool, body: &[u8]) {
    let max_bytes = 1024 * 1024;
    let store = TelemetryStore::new(max_bytes, &[]);
    let intake = Intake::new(store.clone(), max_bytes);
    let format = if is_json { Format::Json } else { Format::Protobuf };
    // A refused export has nothing to draw.
    match signal {
        Signal::Traces => drop(intake.accept::<ExportTraceServiceRequest>(format, body)),
        Signal::Logs => drop(intake.accept::<ExportLogsServiceRequest>(format, body)),
        Signal::Metrics => drop(intake.accept::<ExportMetricsServiceRequest>(format, body)),
    }
    for trace in store.traces() {
        text::draw(&trace, &store.logs_of(&trace.trace_id));
        traces_data(&trace.spans);
    }
}

//! Telemetry as a file: OTLP JSON, one object a line, as the collector's file exporter writes it.

use std::io::{self, BufRead};

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use serde::Serialize;

use crate::otlp::{logs_data, metrics_data, traces_data};
use crate::receive::{Format, Intake};
use crate::storage::TelemetryStore;

/// The most spans or log records of a line.
const MAX_ITEMS: usize = 500;

/// What was read from a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loaded {
    /// The number of lines that were stored.
    pub lines: usize,
    /// The number of lines that were not, and why the first of them was not.
    pub rejected: usize,
    pub first_rejected: Option<String>,
}

/// Everything stored, a line at a time. What arrives or is evicted in the meantime may be absent.
pub(crate) fn lines(store: &TelemetryStore) -> impl Iterator<Item = String> + use<> {
    let (of_traces, of_logs, of_metrics) = (store.clone(), store.clone(), store.clone());
    let traces = store.trace_ids().into_iter().flat_map(move |id| {
        let spans = of_traces.trace(&id).map(|trace| trace.spans).unwrap_or_default();
        spans
            .chunks(MAX_ITEMS)
            .map(|spans| line(&traces_data(spans)))
            .collect::<Vec<_>>()
    });
    let mut last = 0;
    let logs = std::iter::from_fn(move || {
        let (next, logs) = of_logs.logs_after(last, MAX_ITEMS)?;
        last = next;
        Some(line(&logs_data(&logs)))
    });
    let mut next = 0;
    let metrics = std::iter::from_fn(move || {
        let metrics = of_metrics.samples_of_metric(next)?;
        next += 1;
        Some(
            metrics
                .iter()
                .map(|metric| line(&metrics_data(std::slice::from_ref(metric))))
                .collect::<String>(),
        )
    });
    traces.chain(logs).chain(metrics)
}

/// Stores what the lines say. A line is read like a received export, so no file takes more memory than one.
pub(crate) fn load(intake: &Intake, mut reader: impl BufRead) -> io::Result<Loaded> {
    let mut loaded = Loaded::default();
    let mut buffer = Vec::new();
    for number in 1_usize.. {
        buffer.clear();
        if !read_line(&mut reader, intake.max_export_bytes(), &mut buffer)? {
            break;
        }
        let text = buffer.trim_ascii();
        if text.is_empty() {
            continue;
        }
        match accept(intake, text) {
            Ok(()) => loaded.lines += 1,
            Err(reason) => {
                loaded.rejected += 1;
                loaded
                    .first_rejected
                    .get_or_insert_with(|| format!("line {number}: {reason}"));
            }
        }
    }
    Ok(loaded)
}

/// Of a line that is longer than `limit`, the buffer gets one byte more than that. Returns whether there was
/// a line.
fn read_line(reader: &mut impl BufRead, limit: usize, buffer: &mut Vec<u8>) -> io::Result<bool> {
    loop {
        let available = reader.fill_buf()?;
        if available.is_empty() {
            return Ok(!buffer.is_empty());
        }
        let end = available.iter().position(|byte| *byte == b'\n');
        let line = available
            .get(..end.unwrap_or(available.len()))
            .unwrap_or_default();
        let place = (limit + 1).saturating_sub(buffer.len()).min(line.len());
        buffer.extend_from_slice(line.get(..place).unwrap_or_default());
        let read = line.len() + usize::from(end.is_some());
        reader.consume(read);
        if end.is_some() {
            // An empty line is a line.
            buffer.push(b'\n');
            return Ok(true);
        }
    }
}

fn accept(intake: &Intake, text: &[u8]) -> Result<(), String> {
    if text.len() > intake.max_export_bytes() {
        return Err(format!(
            "it is longer than {} bytes; LENS_MAX_BYTES sets the limit",
            intake.max_export_bytes()
        ));
    }
    let field = text.strip_prefix(b"{").unwrap_or_default().trim_ascii_start();
    let is = |name: &str| field.starts_with(name.as_bytes());
    let accepted = if is("\"resourceSpans\"") {
        intake
            .accept::<ExportTraceServiceRequest>(Format::Json, text)
            .map(drop)
    } else if is("\"resourceLogs\"") {
        intake
            .accept::<ExportLogsServiceRequest>(Format::Json, text)
            .map(drop)
    } else if is("\"resourceMetrics\"") {
        intake
            .accept::<ExportMetricsServiceRequest>(Format::Json, text)
            .map(drop)
    } else {
        let takes = "it does not begin with resourceSpans, resourceLogs or resourceMetrics";
        return Err(format!("{takes}: a file has one OTLP JSON object a line"));
    };
    accepted.map_err(|rejection| rejection.to_string())
}

/// Serialization of these types does not fail.
fn line(data: &impl Serialize) -> String {
    serde_json::to_string(data)
        .map(|text| text + "\n")
        .unwrap_or_default()
}

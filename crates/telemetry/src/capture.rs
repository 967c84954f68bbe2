//! What a test's own work records, in memory: spans, log records and metrics, without a network.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! use throughline_telemetry::{capture, metrics};
//!
//! let captured = capture::start();
//! captured
//!     .run(async {
//!         tracing::info_span!("pack").in_scope(|| tracing::warn!("no paper left"));
//!         metrics::counter("parcels.packed", "{parcel}", "Parcels packed.").add(2, &[]);
//!     })
//!     .await;
//! assert_eq!(captured.spans()[0].name, "pack");
//! assert_eq!(captured.log_records().len(), 1);
//! assert_eq!(captured.points("parcels.packed")[0].value, 2.0);
//! # }
//! ```
//!
//! Providers are global, so the first capture of a process sets them up, and a program that has called `init`
//! cannot capture. Tests that run at the same time have their own spans and log records, by the trace;
//! metrics are those of the process since the capture began.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::trace::{
    FutureExt, SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData, ResourceMetrics, ScopeMetrics};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::trace::{IdGenerator, RandomIdGenerator, Span, SpanData, SpanProcessor};

use crate::propagation;
use crate::setup::{self, Telemetry};

/// What the captures of this process have.
#[derive(Debug, Default)]
struct Captured {
    traces: HashMap<TraceId, (Vec<SpanData>, Vec<SdkLogRecord>)>,
    /// As of the last collection.
    points: HashMap<String, Vec<Point>>,
}

static CAPTURED: LazyLock<Mutex<Captured>> = LazyLock::new(Mutex::default);

fn captured() -> MutexGuard<'static, Captured> {
    CAPTURED.lock().unwrap_or_else(PoisonError::into_inner)
}

static TELEMETRY: LazyLock<Result<Telemetry, String>> = LazyLock::new(|| {
    let exporters = ["TRACES", "METRICS", "LOGS"].map(|it| (format!("OTEL_{it}_EXPORTER"), "none"));
    setup::builder("test", env!("CARGO_PKG_VERSION"))
        .variables(exporters)
        .without_panic_hook()
        .without_lines()
        .span_processor(InMemory)
        .log_processor(InMemory)
        .metric_exporter(InMemory)
        .init()
        .map_err(|error| error.to_string())
});

/// The captured telemetry of one trace. What belongs to it is forgotten when this is dropped.
#[derive(Debug)]
pub struct Capture {
    parent: SpanContext,
    before: HashMap<String, Vec<Point>>,
}

/// A time series of a metric.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Point {
    /// Sorted by their names.
    pub attributes: Vec<KeyValue>,
    /// A counter's sum or a histogram's sum since the capture began, a gauge's last value.
    pub value: f64,
    /// The values in a histogram since the capture began; 0 for others.
    pub count: u64,
    is_last_value: bool,
}

/// Begins a capture.
///
/// # Panics
/// If telemetry was set up otherwise in this process, as by [`crate::init`].
#[must_use]
#[expect(clippy::panic, reason = "a test that cannot capture has failed")]
pub fn start() -> Capture {
    if let Err(error) = &*TELEMETRY {
        panic!("telemetry cannot be captured: {error}");
    }
    let ids = RandomIdGenerator::default();
    let (trace_id, span_id) = (ids.new_trace_id(), ids.new_span_id());
    captured().traces.insert(trace_id, Default::default());
    Capture {
        parent: parent(trace_id, span_id),
        before: points(),
    }
}

fn parent(trace_id: TraceId, span_id: SpanId) -> SpanContext {
    SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, true, TraceState::NONE)
}

impl Capture {
    /// Runs `work` in the captured trace.
    pub async fn run<F: Future>(&self, work: F) -> F::Output {
        work.with_context(self.context()).await
    }

    /// The context of the captured trace, for work that is not a future.
    #[must_use]
    pub fn context(&self) -> Context {
        Context::new().with_remote_span_context(self.parent.clone())
    }

    /// The trace context, for the headers of a request or the payload of a job.
    #[must_use]
    pub fn trace_context(&self) -> HashMap<String, String> {
        propagation::inject(&self.context())
    }

    /// The spans that have ended, in that order, masked as they would be exported.
    #[must_use]
    pub fn spans(&self) -> Vec<SpanData> {
        let captured = captured();
        let of_trace = captured.traces.get(&self.parent.trace_id());
        of_trace.map(|(spans, _)| spans.clone()).unwrap_or_default()
    }

    /// The log records, in the order of their events.
    #[must_use]
    pub fn log_records(&self) -> Vec<SdkLogRecord> {
        let captured = captured();
        let of_trace = captured.traces.get(&self.parent.trace_id());
        of_trace.map(|(_, records)| records.clone()).unwrap_or_default()
    }

    /// The time series of the metric that have changed since the capture began.
    #[must_use]
    pub fn points(&self, metric: &str) -> Vec<Point> {
        let now = points().remove(metric).unwrap_or_default();
        let before = self.before.get(metric).map(Vec::as_slice).unwrap_or_default();
        now.into_iter().filter_map(|point| point.since(before)).collect()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        captured().traces.remove(&self.parent.trace_id());
    }
}

impl Point {
    fn new<'a>(attributes: impl Iterator<Item = &'a KeyValue>, value: f64) -> Self {
        let mut attributes: Vec<KeyValue> = attributes.cloned().collect();
        attributes.sort_by(|a, b| a.key.cmp(&b.key));
        Self {
            attributes,
            value,
            count: 0,
            is_last_value: false,
        }
    }

    /// `None` if it is as it was before.
    fn since(mut self, before: &[Self]) -> Option<Self> {
        let before = before.iter().find(|point| point.attributes == self.attributes);
        if before == Some(&self) {
            return None;
        }
        if let Some(before) = before.filter(|_| !self.is_last_value) {
            self.value -= before.value;
            self.count -= before.count;
        }
        Some(self)
    }
}

/// All time series of the process.
fn points() -> HashMap<String, Vec<Point>> {
    if let Ok(telemetry) = &*TELEMETRY
        && let Some(provider) = telemetry.meter_provider()
    {
        // The exporter cannot fail.
        let _ = provider.force_flush();
    }
    captured().points.clone()
}

/// Takes what the providers export.
#[derive(Debug)]
struct InMemory;

impl SpanProcessor for InMemory {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if let Some((spans, _)) = captured().traces.get_mut(&span.span_context.trace_id()) {
            spans.push(span);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl LogProcessor for InMemory {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        let trace_id = record.trace_context().map(|context| context.trace_id);
        let mut captured = captured();
        if let Some((_, records)) = trace_id.and_then(|id| captured.traces.get_mut(&id)) {
            records.push(record.clone());
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
}

impl PushMetricExporter for InMemory {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let scopes = metrics.scope_metrics();
        let metrics = scopes.flat_map(ScopeMetrics::metrics);
        let points = metrics.map(|metric| (metric.name().to_owned(), of_metric(metric.data())));
        captured().points = points.collect();
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

fn of_metric(data: &AggregatedMetrics) -> Vec<Point> {
    match data {
        AggregatedMetrics::F64(data) => of_data(data),
        AggregatedMetrics::U64(data) => of_data(data),
        AggregatedMetrics::I64(data) => of_data(data),
    }
}

/// Exact up to 2^53: a standard conversion of large integers does not exist.
fn float(number: &impl ToString) -> f64 {
    number.to_string().parse().unwrap_or(f64::NAN)
}

fn of_data<T: Copy + ToString>(data: &MetricData<T>) -> Vec<Point> {
    match data {
        MetricData::Gauge(gauge) => gauge
            .data_points()
            .map(|point| Point {
                is_last_value: true,
                ..Point::new(point.attributes(), float(&point.value()))
            })
            .collect(),
        MetricData::Sum(sum) => sum
            .data_points()
            .map(|point| Point::new(point.attributes(), float(&point.value())))
            .collect(),
        MetricData::Histogram(histogram) => histogram
            .data_points()
            .map(|point| Point {
                count: point.count(),
                ..Point::new(point.attributes(), float(&point.sum()))
            })
            .collect(),
        MetricData::ExponentialHistogram(_) => Vec::new(),
    }
}

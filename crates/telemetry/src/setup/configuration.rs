//! What telemetry is set up with, whether variables or a file contain it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry_sdk::metrics::{Instrument, Stream, Temporality};
use opentelemetry_sdk::trace::{ShouldSample, SpanLimits};

use super::exporter::Exporter;
use super::limits::Batch;
use crate::masking::RecordLimits;

#[derive(Debug)]
pub(super) struct Configuration {
    pub(super) traces: Vec<Processor>,
    pub(super) metrics: Vec<Reader>,
    pub(super) logs: Vec<Processor>,
    pub(super) views: Vec<View>,
    pub(super) sampler: Box<dyn ShouldSample>,
    pub(super) span_limits: SpanLimits,
    pub(super) span_value_length: Option<usize>,
    pub(super) log_limits: RecordLimits,
    /// For exporters of spans that the program adds.
    pub(super) span_batch: Batch,
    /// For exporters of log records that the program adds.
    pub(super) log_batch: Batch,
    /// For exporters of metrics that the program adds.
    pub(super) metric_interval: Duration,
    pub(super) propagator: TextMapCompositePropagator,
    /// Attributes of the resource, which override those of the program and of the process.
    pub(super) attributes: Vec<KeyValue>,
    /// The schema of the resource's attributes; empty for none.
    pub(super) schema_url: String,
    /// `ENVIRONMENT`, such as `production`.
    pub(super) environment: String,
    /// Directives as `RUST_LOG` has them.
    pub(super) log_level: String,
    /// Lines for the start: settings without effect.
    pub(super) warnings: Vec<String>,
}

/// A processor of spans or log records.
#[derive(Debug)]
pub(super) struct Processor {
    pub(super) exporter: Exporter,
    pub(super) batch: Batch,
    /// Whether each record is exported when it ends, which only the console does.
    pub(super) is_simple: bool,
}

/// A reader of metrics.
#[derive(Debug)]
pub(super) struct Reader {
    pub(super) exporter: Exporter,
    pub(super) interval: Duration,
    pub(super) temporality: Temporality,
}

/// The stream of an instrument; `None` for one that the view does not select.
type Select = dyn Fn(&Instrument) -> Option<Stream> + Send + Sync;

/// A view of a configuration file.
#[derive(Clone)]
pub(super) struct View(pub(super) Arc<Select>);

impl fmt::Debug for View {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("View")
    }
}

//! The received spans, log records and metrics, in memory. Beyond a limit, the oldest are evicted.
//!
//! Traces get six sixteenths of the limit, log records and metrics one each; the rest is for exports that are
//! read and decoded. Sizes are estimates from the lengths of the texts, rather too large than too small.

mod logs;
mod metrics;
mod traces;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::ids::TraceId;
use crate::log::LogRecord;
use crate::metric::Metric;
use crate::summary::TraceSummary;
use crate::trace::{Span, Trace};
use logs::Logs;
use metrics::Metrics;
use traces::Traces;

pub use traces::TraceFilter;

/// A handle on the received telemetry; clones share it.
#[derive(Debug, Clone)]
pub struct TelemetryStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    traces: Mutex<Traces>,
    logs: Mutex<Logs>,
    metrics: Mutex<Metrics>,
}

impl TelemetryStore {
    pub(crate) fn new(max_bytes: usize) -> Self {
        let sixteenth = max_bytes / 16;
        Self(Arc::new(Shared {
            traces: Mutex::new(Traces::new(6 * sixteenth)),
            logs: Mutex::new(Logs::new(sixteenth)),
            metrics: Mutex::new(Metrics::new(sixteenth)),
        }))
    }

    /// All traces, newest first by the start of their first span.
    #[must_use]
    pub fn traces(&self) -> Vec<Trace> {
        self.select(&TraceFilter::default(), usize::MAX, Trace::clone)
    }

    /// The spans of a trace received so far; `None` if none was received, or the trace was evicted.
    #[must_use]
    pub fn trace(&self, id: &TraceId) -> Option<Trace> {
        lock(&self.0.traces).get(id).cloned()
    }

    /// The traces with this `order.id` on a span or a log record, newest first.
    #[must_use]
    pub fn find_by_order(&self, order_id: &str) -> Vec<Trace> {
        let filter = TraceFilter {
            order_id: Some(order_id.to_owned()),
            ..TraceFilter::default()
        };
        self.select(&filter, usize::MAX, Trace::clone)
    }

    /// The newest `limit` traces that match `filter`.
    #[must_use]
    pub fn summaries(&self, filter: &TraceFilter, limit: usize) -> Vec<TraceSummary> {
        self.select(filter, limit, TraceSummary::of)
    }

    /// The services of all traces, sorted by name.
    #[must_use]
    pub fn services(&self) -> Vec<String> {
        lock(&self.0.traces).services()
    }

    /// The last export of every metric of every process, sorted by service, process and name.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        lock(&self.0.metrics).all()
    }

    /// All log records, in order of arrival.
    #[must_use]
    pub fn logs(&self) -> Vec<LogRecord> {
        lock(&self.0.logs).iter().cloned().collect()
    }

    /// The log records of a trace, sorted by time.
    #[must_use]
    pub fn logs_of(&self, id: &TraceId) -> Vec<LogRecord> {
        let is_of_trace = |log: &&LogRecord| log.trace_id == Some(*id);
        let mut logs: Vec<LogRecord> = lock(&self.0.logs).iter().filter(is_of_trace).cloned().collect();
        logs.sort_by_key(|log| log.time_unix_nano);
        logs
    }

    pub(crate) fn add_spans(&self, spans: Vec<Span>) {
        lock(&self.0.traces).add(spans);
    }

    pub(crate) fn add_logs(&self, logs: Vec<LogRecord>) {
        lock(&self.0.logs).add(logs);
    }

    pub(crate) fn add_metrics(&self, metrics: Vec<Metric>) {
        lock(&self.0.metrics).add(metrics);
    }

    fn select<T>(&self, filter: &TraceFilter, limit: usize, convert: impl Fn(&Trace) -> T) -> Vec<T> {
        let logged: BTreeSet<TraceId> = match &filter.order_id {
            Some(order_id) => lock(&self.0.logs).traces_of_order(order_id).collect(),
            None => BTreeSet::new(),
        };
        let traces = lock(&self.0.traces);
        let newest = traces.newest(filter, &logged, limit).into_iter();
        newest.map(convert).collect()
    }
}

/// Ignores poisoning: a change that a panic interrupted does at most lose a few items of a viewer.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Everything that was received, in memory and bounded: when it is full, the oldest gives way.
//!
//! Traces get three quarters of the bound, log records and metrics an eighth each. Sizes are estimates from the
//! lengths of the texts, meant to err on the large side.

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

/// A handle on what was received; clones share it.
#[derive(Debug, Clone)]
pub struct TraceStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    traces: Mutex<Traces>,
    logs: Mutex<Logs>,
    metrics: Mutex<Metrics>,
}

/// Which traces to list. The default is all of them.
#[derive(Debug, Clone, Default)]
pub struct TraceFilter {
    /// Only those in which this service took part.
    pub service: Option<String>,
    /// Only those in which a span or a log record carries this `order.id`.
    pub order_id: Option<String>,
}

impl TraceStore {
    pub(crate) fn new(max_bytes: usize) -> Self {
        let eighth = max_bytes / 8;
        Self(Arc::new(Shared {
            traces: Mutex::new(Traces::new(max_bytes - 2 * eighth)),
            logs: Mutex::new(Logs::new(eighth)),
            metrics: Mutex::new(Metrics::new(eighth)),
        }))
    }

    /// All traces, newest first by the start of their first span.
    #[must_use]
    pub fn traces(&self) -> Vec<Trace> {
        self.select(&TraceFilter::default(), usize::MAX, Trace::clone)
    }

    /// The trace with this id, as far as it was received; `None` if nothing was, or it had to give way.
    #[must_use]
    pub fn trace(&self, id: &TraceId) -> Option<Trace> {
        lock(&self.0.traces).get(id).cloned()
    }

    /// The traces in which a span, or a log record, carries this `order.id`; newest first.
    #[must_use]
    pub fn find_by_order(&self, order_id: &str) -> Vec<Trace> {
        let filter = TraceFilter {
            order_id: Some(order_id.to_owned()),
            ..TraceFilter::default()
        };
        self.select(&filter, usize::MAX, Trace::clone)
    }

    /// One line about each of the newest `limit` traces that `filter` lets through.
    #[must_use]
    pub fn summaries(&self, filter: &TraceFilter, limit: usize) -> Vec<TraceSummary> {
        self.select(filter, limit, TraceSummary::of)
    }

    /// The services of all traces, by name.
    #[must_use]
    pub fn services(&self) -> Vec<String> {
        lock(&self.0.traces).services()
    }

    /// The last export of every metric of every process, by service, process and name.
    #[must_use]
    pub fn metrics(&self) -> Vec<Metric> {
        lock(&self.0.metrics).all()
    }

    /// The log records that are still kept, in order of arrival.
    #[must_use]
    pub fn logs(&self) -> Vec<LogRecord> {
        lock(&self.0.logs).iter().cloned().collect()
    }

    /// The log records that were made during this trace, in order of time.
    #[must_use]
    pub fn logs_of(&self, id: &TraceId) -> Vec<LogRecord> {
        let mut logs: Vec<LogRecord> = lock(&self.0.logs)
            .iter()
            .filter(|log| log.trace_id == Some(*id))
            .cloned()
            .collect();
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

    fn select<T>(&self, filter: &TraceFilter, limit: usize, read: impl Fn(&Trace) -> T) -> Vec<T> {
        let logged: BTreeSet<TraceId> = match &filter.order_id {
            Some(order_id) => lock(&self.0.logs).traces_of_order(order_id).collect(),
            None => BTreeSet::new(),
        };
        lock(&self.0.traces)
            .newest(filter, &logged, limit)
            .into_iter()
            .map(read)
            .collect()
    }
}

/// A panic elsewhere cannot leave these maps half-changed in a way that matters to a viewer.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

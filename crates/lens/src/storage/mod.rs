//! The received spans, log records and metrics, in memory. Beyond a limit, the oldest are evicted.
//!
//! Traces get six sixteenths of the limit, log records and metrics one each; the rest is for exports that are
//! read and decoded. Sizes are estimates from the lengths of the texts, rather too large than too small.

mod arrivals;
mod keys;
mod links;
mod lock;
mod logs;
mod metric_series;
mod metrics;
mod search;
mod traces;

use std::sync::{Arc, Mutex};

use tokio::sync::watch;

use crate::ids::{SpanId, TraceId};
use crate::log::LogRecord;
use crate::map::ServiceMap;
use crate::metric::Metric;
use crate::query::Query;
use crate::rates::Rates;
use crate::search::{LogSearch, Page, TraceSearch};
use crate::series::{MetricName, MetricQuery, MetricSeries};
use crate::summary::TraceSummary;
use crate::trace::{LinkFrom, Span, Trace};
use lock::lock;
use logs::Logs;
use metrics::Metrics;
use traces::Traces;

/// A handle on the received telemetry; clones share it.
#[derive(Debug, Clone)]
pub struct TelemetryStore(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    traces: Mutex<Traces>,
    logs: Mutex<Logs>,
    metrics: Mutex<Metrics>,
    changes: watch::Sender<u64>,
}

impl TelemetryStore {
    pub(crate) fn new(max_bytes: usize, key_attributes: &[String]) -> Self {
        let sixteenth = max_bytes / 16;
        Self(Arc::new(Shared {
            traces: Mutex::new(Traces::new(6 * sixteenth, key_attributes)),
            logs: Mutex::new(Logs::new(sixteenth)),
            metrics: Mutex::new(Metrics::new(sixteenth)),
            changes: watch::Sender::default(),
        }))
    }

    /// All traces, newest first by the start of their first span.
    #[must_use]
    pub fn traces(&self) -> Vec<Trace> {
        self.matching_traces(&Query::default())
    }

    /// The spans of a trace received so far; `None` if none was received, or the trace was evicted.
    #[must_use]
    pub fn trace(&self, id: &TraceId) -> Option<Trace> {
        lock(&self.0.traces).get(id).cloned()
    }

    /// The traces with this `order.id` on a span or a log record, newest first.
    #[must_use]
    pub fn find_by_order(&self, order_id: &str) -> Vec<Trace> {
        let query = Query::word("order.id", order_id).parse();
        query
            .map(|query| self.matching_traces(&query))
            .unwrap_or_default()
    }

    /// A trace in one line.
    #[must_use]
    pub fn summary(&self, id: &TraceId) -> Option<TraceSummary> {
        lock(&self.0.traces).summary_of(id)
    }

    /// How many spans are received in a second, on an average of the last seconds.
    pub(crate) fn received_per_second(&self) -> f64 {
        lock(&self.0.traces).received_per_second()
    }

    /// The links of other traces to this one, each with the span it leads to.
    pub(crate) fn links_from(&self, id: &TraceId) -> Vec<(SpanId, LinkFrom)> {
        lock(&self.0.traces).links_from(id)
    }

    /// A page of the traces that match, newest first by the start of their first span.
    #[must_use]
    pub fn search_traces(&self, search: &TraceSearch) -> Page<TraceSummary> {
        search::traces(&self.0.traces, &self.0.logs, search, |traces, stored| {
            traces.summary(stored)
        })
    }

    /// A page of the log records that match, newest first.
    #[must_use]
    pub fn search_logs(&self, search: &LogSearch) -> Page<LogRecord> {
        search::logs(&self.0.logs, search)
    }

    /// The number, errors and durations of the traces that match, by the name of their root, in `steps` steps
    /// of time. The limit and `after` of the search do not matter.
    #[must_use]
    pub fn rates(&self, search: &TraceSearch, steps: usize) -> Rates {
        search::rates(&self.0.traces, &self.0.logs, search, steps)
    }

    /// The services of the traces that match, and what they call. The limit and `after` of the search do not
    /// matter.
    #[must_use]
    pub fn service_map(&self, search: &TraceSearch) -> ServiceMap {
        search::service_map(&self.0.traces, &self.0.logs, search)
    }

    /// The metrics that can be charted, sorted by name.
    #[must_use]
    pub fn metric_names(&self) -> Vec<MetricName> {
        lock(&self.0.metrics).names()
    }

    /// The values of a metric over time; `None` if none of that name is stored.
    #[must_use]
    pub fn series(&self, query: &MetricQuery) -> Option<MetricSeries> {
        let (name, series) = lock(&self.0.metrics).series(query)?;
        Some(MetricSeries::of(name, query, &series))
    }

    /// Changes with each export that is stored.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changes.subscribe()
    }

    /// The services of all traces, sorted by name.
    #[must_use]
    pub fn services(&self) -> Vec<String> {
        let traces = lock(&self.0.traces);
        traces.services().map(ToString::to_string).collect()
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
        lock(&self.0.logs)
            .by_time()
            .filter(is_of_trace)
            .cloned()
            .collect()
    }

    /// The oldest first.
    pub(crate) fn trace_ids(&self) -> Vec<TraceId> {
        lock(&self.0.traces).ids().collect()
    }

    /// Up to `limit` records that arrived after that of the number `last`, and the number of the last of
    /// them; `None` if there are none.
    pub(crate) fn logs_after(&self, last: u128, limit: usize) -> Option<(u128, Vec<LogRecord>)> {
        lock(&self.0.logs).after(last, limit)
    }

    /// All samples of the metric with this index; `None` if there are not as many metrics. The last export is
    /// a metric of its own, the last.
    pub(crate) fn samples_of_metric(&self, index: usize) -> Option<Vec<Metric>> {
        lock(&self.0.metrics).samples(index)
    }

    pub(crate) fn add_spans(&self, spans: Vec<Span>) {
        lock(&self.0.traces).add(spans);
        self.changed();
    }

    pub(crate) fn add_logs(&self, logs: Vec<LogRecord>) {
        lock(&self.0.logs).add(logs);
        self.changed();
    }

    pub(crate) fn add_metrics(&self, metrics: Vec<Metric>) {
        lock(&self.0.metrics).add(metrics);
        self.changed();
    }

    fn changed(&self) {
        self.0
            .changes
            .send_modify(|number| *number = number.wrapping_add(1));
    }

    fn matching_traces(&self, query: &Query) -> Vec<Trace> {
        let search = TraceSearch {
            query: query.clone(),
            limit: usize::MAX,
            ..TraceSearch::default()
        };
        search::traces(&self.0.traces, &self.0.logs, &search, |_, stored| {
            stored.trace.clone()
        })
        .items
    }
}

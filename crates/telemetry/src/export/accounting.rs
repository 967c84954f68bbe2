//! Counts what each signal has queued and dropped, and reports losses to the operator.
//!
//! The SDK's processors drop records without a trace when their queue is full. So the same bound is enforced
//! here, in front of them: a record that would not fit is counted and not passed on.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::OTelSdkResult;

use crate::scope::meter;

/// The shortest time between two reports.
const REPORT_INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

/// The accounting of one exporter.
#[derive(Debug)]
pub(crate) struct Accounting {
    signal: Signal,
    /// Which of the report's exporters it is.
    exporter: usize,
    capacity: usize,
    /// An upper bound of the records in the processor's queue.
    queued: AtomicUsize,
    closed: AtomicBool,
    report: Arc<ExportReport>,
}

impl Accounting {
    /// `capacity` is that of the processor's queue, in records.
    pub(crate) fn new(signal: Signal, capacity: usize, report: &Arc<ExportReport>) -> Arc<Self> {
        Arc::new(Self {
            signal,
            exporter: report.exporters.fetch_add(1, Ordering::Relaxed),
            capacity,
            queued: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            report: Arc::clone(report),
        })
    }

    /// Whether the queue has a place for a record, which is reserved. If not, the record counts as dropped.
    pub(crate) fn admit(&self) -> bool {
        if self.closed.load(Ordering::Relaxed) {
            return false;
        }
        let admitted = self.queued.fetch_add(1, Ordering::Relaxed) < self.capacity;
        if !admitted {
            self.queued.fetch_sub(1, Ordering::Relaxed);
            self.report.add_dropped(self.signal, 1);
        }
        admitted
    }

    /// A batch has left the queue.
    pub(crate) fn dequeued(&self, records: usize) {
        self.queued.fetch_sub(records, Ordering::Relaxed);
    }

    /// The export of a batch has ended: its records were sent, or are lost.
    pub(crate) fn exported(&self, records: usize, result: &OTelSdkResult) {
        if result.is_err() {
            self.report.add_dropped(self.signal, records);
        }
        let error = result.as_ref().err().map(ToString::to_string);
        if let Some(entry) = self.report.after_export(self.exporter, error, Instant::now()) {
            entry.log();
        }
    }

    /// Refuses all further records, without counting them.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// The totals that all signals have dropped, and when they were last logged.
#[derive(Debug, Default)]
pub(crate) struct ExportReport {
    /// How many there are.
    exporters: AtomicUsize,
    spans: AtomicU64,
    logs: AtomicU64,
    last: Mutex<LastEntry>,
}

/// The state as of the last log entry.
#[derive(Debug, Default)]
struct LastEntry {
    at: Option<Instant>,
    was_outage: bool,
    spans: u64,
    logs: u64,
    /// The exporters whose last export failed.
    failing: Vec<usize>,
}

/// A log entry.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    /// How many spans and log records were dropped since the last entry, and why.
    Lost { reason: String, spans: u64, logs: u64 },
    /// All exporters succeed again after an outage.
    Resumed,
}

impl ExportReport {
    /// Registers `telemetry.spans.dropped` and `telemetry.logs.dropped` with the installed meter provider.
    pub(crate) fn register_metrics(self: &Arc<Self>) {
        let count = |name, unit, description, read: fn(&Self) -> &AtomicU64| {
            let report = Arc::clone(self);
            meter()
                .u64_observable_counter(name)
                .with_unit(unit)
                .with_description(description)
                .with_callback(move |counter| {
                    counter.observe(read(&report).load(Ordering::Relaxed), &[]);
                })
                .build();
        };
        count(
            "telemetry.spans.dropped",
            "{span}",
            "Spans that did not reach the collector.",
            |report| &report.spans,
        );
        count(
            "telemetry.logs.dropped",
            "{log_record}",
            "Log records that did not reach the collector.",
            |report| &report.logs,
        );
    }

    fn add_dropped(&self, signal: Signal, records: usize) {
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        match signal {
            Signal::Traces => self.spans.fetch_add(records, Ordering::Relaxed),
            Signal::Logs => self.logs.fetch_add(records, Ordering::Relaxed),
            // Metrics are cumulative: the next export makes up for one that failed.
            Signal::Metrics => 0,
        };
    }

    /// The entry to log after an export. Only the exporters' threads take the lock, never a request's.
    fn after_export(&self, exporter: usize, error: Option<String>, now: Instant) -> Option<Entry> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.failing.retain(|failing| *failing != exporter);
        if error.is_some() {
            last.failing.push(exporter);
        }
        let is_early = |at| now.saturating_duration_since(at) < REPORT_INTERVAL;
        if last.at.is_some_and(is_early) {
            return None;
        }
        let spans = self.spans.load(Ordering::Relaxed);
        let logs = self.logs.load(Ordering::Relaxed);
        let lost = spans > last.spans || logs > last.logs;
        let entry = if error.is_some() || lost {
            last.was_outage = error.is_some();
            let too_fast = || "is produced faster than the collector accepts it".to_owned();
            let failed = |error| format!("does not reach the collector: {error}");
            Entry::Lost {
                reason: error.map_or_else(too_fast, failed),
                spans: spans - last.spans,
                logs: logs - last.logs,
            }
        } else if last.was_outage && last.failing.is_empty() {
            last.was_outage = false;
            Entry::Resumed
        } else {
            return None;
        };
        last.at = Some(now);
        (last.spans, last.logs) = (spans, logs);
        Some(entry)
    }
}

impl Entry {
    fn log(&self) {
        match self {
            Self::Lost { reason, spans, logs } => tracing::warn!(
                "telemetry {reason}; dropped {spans} spans and {logs} log records since the last such line"
            ),
            Self::Resumed => tracing::info!("telemetry reaches the collector again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(reason: &str, spans: u64, logs: u64) -> Option<Entry> {
        let reason = reason.to_owned();
        Some(Entry::Lost { reason, spans, logs })
    }

    const TRACES: usize = 0;
    const LOGS: usize = 1;
    const REFUSED: &str = "does not reach the collector: refused";

    #[test]
    fn an_outage_is_logged_once_a_minute_with_all_that_was_lost() {
        let report = ExportReport::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let refused = || Some("refused".to_owned());

        report.add_dropped(Signal::Traces, 5);
        assert_eq!(report.after_export(TRACES, refused(), start), lost(REFUSED, 5, 0));
        report.add_dropped(Signal::Logs, 7);
        assert_eq!(report.after_export(LOGS, refused(), after(5)), None);
        report.add_dropped(Signal::Traces, 1);
        assert_eq!(
            report.after_export(LOGS, refused(), after(60)),
            lost(REFUSED, 1, 7)
        );
    }

    #[test]
    fn the_end_of_an_outage_is_logged_when_all_exporters_succeed() {
        let report = ExportReport::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        for exporter in [TRACES, LOGS] {
            report.after_export(exporter, Some("refused".to_owned()), start);
        }
        assert_eq!(report.after_export(TRACES, None, after(61)), None);
        assert_eq!(report.after_export(LOGS, None, after(62)), Some(Entry::Resumed));
        assert_eq!(report.after_export(TRACES, None, after(200)), None);
    }

    #[test]
    fn a_full_queue_drops_and_counts_until_a_batch_leaves_it() {
        let report = Arc::new(ExportReport::default());
        let accounting = Accounting::new(Signal::Traces, 2, &report);
        let admitted = [accounting.admit(), accounting.admit(), accounting.admit()];
        assert_eq!(admitted, [true, true, false]);
        assert_eq!(report.spans.load(Ordering::Relaxed), 1);
        assert_eq!(
            report.after_export(TRACES, None, Instant::now()),
            lost("is produced faster than the collector accepts it", 1, 0)
        );
        accounting.dequeued(2);
        assert!(accounting.admit());
    }
}

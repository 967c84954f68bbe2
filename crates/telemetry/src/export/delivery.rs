//! The bookkeeping of exports: what waits, what was dropped, and what the operator is told about it.
//!
//! The SDK's own processors drop silently when their queue is full. So the same bound is kept here, in front of them: a record
//! that would not fit is counted and not handed on.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry_sdk::error::OTelSdkResult;

use crate::setup::meter;

/// How often the operator is told that something is wrong, at most.
const BETWEEN_NOTICES: Duration = Duration::from_secs(60);

/// What is exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    Traces,
    Metrics,
    Logs,
}

/// The way of one signal's records to the collector.
#[derive(Debug)]
pub(crate) struct Delivery {
    signal: Signal,
    capacity: usize,
    /// Records in the processor's queue, by an upper bound.
    waiting: AtomicUsize,
    closed: AtomicBool,
    notices: Arc<Notices>,
}

impl Delivery {
    pub(crate) fn new(signal: Signal, capacity: usize, notices: &Arc<Notices>) -> Arc<Self> {
        Arc::new(Self {
            signal,
            capacity,
            waiting: AtomicUsize::new(0),
            closed: AtomicBool::new(false),
            notices: Arc::clone(notices),
        })
    }

    /// Takes a place in the queue. Where there is none, the record is counted as dropped and must not be handed on.
    pub(crate) fn admit(&self) -> bool {
        if self.closed.load(Ordering::Relaxed) {
            return false;
        }
        let admitted = self.waiting.fetch_add(1, Ordering::Relaxed) < self.capacity;
        if !admitted {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            self.notices.dropped(self.signal, 1);
        }
        admitted
    }

    /// A batch has left the queue.
    pub(crate) fn taken(&self, records: usize) {
        self.waiting.fetch_sub(records, Ordering::Relaxed);
    }

    /// The batch has arrived, or is lost.
    pub(crate) fn finished(&self, records: usize, result: &OTelSdkResult) {
        if result.is_err() {
            self.notices.dropped(self.signal, records);
        }
        let error = result.as_ref().err().map(ToString::to_string);
        let notice = self.notices.after_export(self.signal, error, Instant::now());
        if let Some(notice) = notice {
            notice.write();
        }
    }

    /// Nothing more is taken.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// What all signals together lost, and when the operator was last told.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    spans: AtomicU64,
    logs: AtomicU64,
    told: Mutex<Told>,
}

#[derive(Debug, Default)]
struct Told {
    at: Option<Instant>,
    of_outage: bool,
    spans: u64,
    logs: u64,
    /// The signals whose last export failed.
    failing: Vec<Signal>,
}

/// A line to write.
#[derive(Debug, PartialEq, Eq)]
enum Notice {
    /// Telemetry was lost: since the last line, so many spans and log records.
    Lost {
        error: Option<String>,
        spans: u64,
        logs: u64,
    },
    /// What failed works again.
    Resumed,
}

impl Notices {
    /// Makes `telemetry.spans.dropped` and `telemetry.logs.dropped`. Metrics must be set up.
    pub(crate) fn observe(self: &Arc<Self>) {
        let count = |name, unit, description, read: fn(&Self) -> &AtomicU64| {
            let notices = Arc::clone(self);
            meter()
                .u64_observable_counter(name)
                .with_unit(unit)
                .with_description(description)
                .with_callback(move |counter| {
                    counter.observe(read(&notices).load(Ordering::Relaxed), &[]);
                })
                .build();
        };
        count(
            "telemetry.spans.dropped",
            "{span}",
            "Spans that did not reach the collector.",
            |notices| &notices.spans,
        );
        count(
            "telemetry.logs.dropped",
            "{log_record}",
            "Log records that did not reach the collector.",
            |notices| &notices.logs,
        );
    }

    fn dropped(&self, signal: Signal, records: usize) {
        let records = u64::try_from(records).unwrap_or(u64::MAX);
        match signal {
            Signal::Traces => self.spans.fetch_add(records, Ordering::Relaxed),
            Signal::Logs => self.logs.fetch_add(records, Ordering::Relaxed),
            // Metrics are cumulative: the next export makes up for one that failed.
            Signal::Metrics => 0,
        };
    }

    /// Decides what to write after an export. Only the exporters' own threads come here, never a request's.
    fn after_export(&self, signal: Signal, error: Option<String>, now: Instant) -> Option<Notice> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.failing.retain(|failing| *failing != signal);
        if error.is_some() {
            told.failing.push(signal);
        }
        if told
            .at
            .is_some_and(|at| now.saturating_duration_since(at) < BETWEEN_NOTICES)
        {
            return None;
        }
        let spans = self.spans.load(Ordering::Relaxed);
        let logs = self.logs.load(Ordering::Relaxed);
        let lost = spans > told.spans || logs > told.logs;
        let notice = if error.is_some() || lost {
            told.of_outage = error.is_some();
            Notice::Lost {
                error,
                spans: spans - told.spans,
                logs: logs - told.logs,
            }
        } else if told.of_outage && told.failing.is_empty() {
            told.of_outage = false;
            Notice::Resumed
        } else {
            return None;
        };
        told.at = Some(now);
        (told.spans, told.logs) = (spans, logs);
        Some(notice)
    }
}

impl Notice {
    fn write(&self) {
        match self {
            Self::Lost {
                error: Some(error),
                spans,
                logs,
            } => tracing::warn!(
                "telemetry does not reach the collector: {error}; dropped {spans} spans and {logs} log records since the \
                 last such line"
            ),
            Self::Lost {
                error: None,
                spans,
                logs,
            } => tracing::warn!(
                "telemetry came faster than the collector takes it: dropped {spans} spans and {logs} log records since \
                 the last such line"
            ),
            Self::Resumed => tracing::info!("telemetry reaches the collector again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(error: Option<&str>, spans: u64, logs: u64) -> Option<Notice> {
        Some(Notice::Lost {
            error: error.map(str::to_owned),
            spans,
            logs,
        })
    }

    #[test]
    fn an_outage_is_told_once_a_minute_with_all_that_it_cost() {
        let notices = Notices::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let refused = || Some("refused".to_owned());

        notices.dropped(Signal::Traces, 5);
        assert_eq!(
            notices.after_export(Signal::Traces, refused(), start),
            lost(Some("refused"), 5, 0)
        );
        notices.dropped(Signal::Logs, 7);
        assert_eq!(notices.after_export(Signal::Logs, refused(), after(5)), None);
        notices.dropped(Signal::Traces, 1);
        assert_eq!(
            notices.after_export(Signal::Logs, refused(), after(60)),
            lost(Some("refused"), 1, 7)
        );
    }

    #[test]
    fn the_end_of_an_outage_is_told_when_all_signals_work() {
        let notices = Notices::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        for signal in [Signal::Traces, Signal::Logs] {
            notices.after_export(signal, Some("refused".to_owned()), start);
        }
        assert_eq!(notices.after_export(Signal::Traces, None, after(61)), None);
        assert_eq!(
            notices.after_export(Signal::Logs, None, after(62)),
            Some(Notice::Resumed)
        );
        assert_eq!(notices.after_export(Signal::Traces, None, after(200)), None);
    }

    #[test]
    fn a_full_queue_drops_and_counts_and_takes_more_once_it_is_emptied() {
        let notices = Arc::new(Notices::default());
        let delivery = Delivery::new(Signal::Traces, 2, &notices);
        let admitted = [delivery.admit(), delivery.admit(), delivery.admit()];
        assert_eq!(admitted, [true, true, false]);
        assert_eq!(notices.spans.load(Ordering::Relaxed), 1);
        assert_eq!(
            notices.after_export(Signal::Traces, None, Instant::now()),
            lost(None, 1, 0)
        );
        delivery.taken(2);
        assert!(delivery.admit());
    }
}

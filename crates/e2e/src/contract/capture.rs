//! All that a run of the product exported, and what the run did that the checker has to know.

use std::collections::HashSet;

use lens::{Attributes, LogRecord, Metric, Span, SpanId, Trace, TraceStore};

/// What the processes of one run said.
#[derive(Debug, Clone, Default)]
pub struct Capture {
    /// Every span, by trace.
    pub traces: Vec<Trace>,
    /// The last export of every metric of every process.
    pub metrics: Vec<Metric>,
    /// Every log record.
    pub logs: Vec<LogRecord>,
    /// Every line on the processes' stdout.
    pub lines: Vec<Line>,
    /// Spans of the callers, who export nothing here.
    pub callers: HashSet<SpanId>,
    /// The pids of processes that were killed: what they had not exported is lost, and nobody else's fault.
    pub killed: Vec<i64>,
    /// Personal data and secrets that the callers sent. None may be found in anything that left a process.
    pub planted: Vec<String>,
}

/// A line on stdout.
#[derive(Debug, Clone)]
pub struct Line {
    /// Whose.
    pub service: String,
    /// What it says.
    pub text: String,
}

impl Capture {
    /// What a receiver holds at this moment.
    #[must_use]
    pub fn of(store: &TraceStore) -> Self {
        Self {
            traces: store.traces(),
            metrics: store.metrics(),
            logs: store.logs(),
            ..Self::default()
        }
    }

    pub(super) fn spans(&self) -> impl Iterator<Item = &Span> {
        self.traces.iter().flat_map(|trace| &trace.spans)
    }

    pub(super) fn was_killed(&self, resource: &Attributes) -> bool {
        let pid = resource.get("process.pid").and_then(lens::Value::as_i64);
        pid.is_some_and(|pid| self.killed.contains(&pid))
    }
}

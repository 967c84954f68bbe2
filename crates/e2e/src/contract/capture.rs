//! Everything that a run of the product exported, and the facts about the run that the checks need.

use std::collections::{HashMap, HashSet};

use lens::{Attributes, LogRecord, Metric, Span, SpanId, TelemetryStore, Trace};

/// Everything that the processes of one run exported or printed.
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
    /// Span ids of the callers, which do not export to the capture.
    pub callers: HashSet<SpanId>,
    /// The pids of killed processes, which may have lost spans and records that they had not exported.
    pub killed: Vec<i64>,
    /// Processes with TRACE_INBOUND or JOB_TRACE other than the default, by pid.
    pub inbound: HashMap<i64, Inbound>,
    /// The requested paths that make no spans.
    pub untraced: Vec<String>,
    /// Personal data and secrets that the callers sent. No process may export or print them.
    pub planted: Vec<String>,
}

/// How a process treats the trace of a caller (TRACE_INBOUND) or of a job's sender (JOB_TRACE).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Inbound {
    /// It continues it.
    #[default]
    Parent,
    /// It begins a new trace that links to it.
    Link,
    /// It begins a new trace.
    Ignore,
}

/// A line on stdout.
#[derive(Debug, Clone)]
pub struct Line {
    /// The `service.name` of the process.
    pub service: String,
    /// Without the line break.
    pub text: String,
}

impl Capture {
    /// The current content of a receiver.
    #[must_use]
    pub fn of(store: &TelemetryStore) -> Self {
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

    /// This run and another one, with other processes.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.traces.extend(other.traces);
        self.metrics.extend(other.metrics);
        self.logs.extend(other.logs);
        self.lines.extend(other.lines);
        self.callers.extend(other.callers);
        self.killed.extend(other.killed);
        self.inbound.extend(other.inbound);
        self.untraced.extend(other.untraced);
        self.planted.extend(other.planted);
        self
    }

    pub(super) fn was_killed(&self, resource: &Attributes) -> bool {
        pid(resource).is_some_and(|pid| self.killed.contains(&pid))
    }

    pub(super) fn inbound_of(&self, resource: &Attributes) -> Inbound {
        let inbound = pid(resource).and_then(|pid| self.inbound.get(&pid));
        inbound.copied().unwrap_or_default()
    }
}

fn pid(resource: &Attributes) -> Option<i64> {
    resource.get("process.pid").and_then(lens::Value::as_i64)
}

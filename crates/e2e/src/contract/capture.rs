//! All that a run of the product exported, and what the run did that the checker has to know.

use std::collections::{HashMap, HashSet};

use lens::{Attributes, LogRecord, Metric, Span, SpanId, TelemetryStore, Trace};

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
    /// Processes that were told not to continue the traces of others, by pid.
    pub inbound: HashMap<i64, Inbound>,
    /// The paths that were asked for and leave no trace.
    pub untraced: Vec<String>,
    /// Personal data and secrets that the callers sent. None may be found in anything that left a process.
    pub planted: Vec<String>,
}

/// What a process makes of a trace that somebody else began: a caller (TRACE_INBOUND), or whoever sent a job (JOB_TRACE).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Inbound {
    /// It continues it.
    #[default]
    Parent,
    /// It begins another that links to it.
    Link,
    /// It begins another.
    Ignore,
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

    /// This run and another, of other processes.
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
        let told = pid(resource).and_then(|pid| self.inbound.get(&pid));
        told.copied().unwrap_or_default()
    }
}

fn pid(resource: &Attributes) -> Option<i64> {
    resource.get("process.pid").and_then(lens::Value::as_i64)
}

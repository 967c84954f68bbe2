//! A log record in one line.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use crate::log::{LogRecord, Severity};
use crate::waterfall::Scale;

/// How a severity is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) word: &'static str,
    pub(super) class: &'static str,
}

/// A record of a trace, at its time within the trace.
pub(super) struct LogLine {
    pub(super) at: String,
    pub(super) level: Level,
    pub(super) body: String,
    pub(super) attributes: String,
    pub(super) trace: String,
    pub(super) anchor: String,
}

impl Level {
    pub(super) fn of(severity: Severity) -> Self {
        let (word, class) = match severity.0 {
            1..=4 => ("trace", "quiet"),
            5..=8 => ("debug", "quiet"),
            9..=12 => ("info", "info"),
            13..=16 => ("warning", "warn"),
            17..=20 => ("error", "bad"),
            21.. => ("fatal", "bad"),
            _ => ("no level", "quiet"),
        };
        Self { word, class }
    }
}

/// The id of a record in the list of logs: its time, and a part of its text for records of the same time.
pub(super) fn anchor(log: &LogRecord) -> String {
    let mut hasher = DefaultHasher::new();
    log.body.to_string().hash(&mut hasher);
    format!("log-{}-{:04x}", log.time_unix_nano, hasher.finish() & 0xffff)
}

impl LogLine {
    pub(super) fn in_trace(log: &LogRecord, scale: &Scale) -> Self {
        let attributes = if log.attributes.is_empty() {
            String::new()
        } else {
            log.attributes.to_string()
        };
        Self {
            at: ui::duration(scale.offset(log.time_unix_nano)),
            level: Level::of(log.severity),
            body: log.body.to_string(),
            attributes,
            trace: log.trace_id.map(|id| id.to_string()).unwrap_or_default(),
            anchor: anchor(log),
        }
    }
}

//! A log record, as received.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::attributes::{Attributes, Value};
use crate::ids::{SpanId, TraceId};
use crate::trace::Scope;

/// One log record.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRecord {
    /// When it happened, in nanoseconds since the Unix epoch; when it was observed, if the sender did not say.
    pub time_unix_nano: u64,
    /// How serious it is.
    pub severity: Severity,
    /// The sender's own name of the severity; may be empty.
    pub severity_text: String,
    /// The message.
    pub body: Value,
    /// What the message says besides.
    pub attributes: Attributes,
    /// The name of the event, where the record is one; may be empty.
    pub event_name: String,
    /// `service.name` of its resource; `unknown_service` if that is absent.
    pub service: String,
    /// The attributes of the process that made it.
    pub resource: Arc<Attributes>,
    /// The library that made it.
    pub scope: Arc<Scope>,
    /// The trace during which it was made.
    pub trace_id: Option<TraceId>,
    /// The span during which it was made.
    pub span_id: Option<SpanId>,
}

/// OTLP's severity number: 1 to 24, 0 when it was not sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Severity(pub i32);

impl Severity {
    /// The lowest number of a warning.
    pub const WARN: Self = Self(13);
    /// The lowest number of an error.
    pub const ERROR: Self = Self(17);
}

impl LogRecord {
    /// About how many bytes it takes, without what it shares with other records.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.severity_text.len()
            + self.body.heap_bytes()
            + self.attributes.heap_bytes()
            + self.event_name.len()
            + self.service.len()
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self.0 {
            1..=4 => "TRACE",
            5..=8 => "DEBUG",
            9..=12 => "INFO",
            13..=16 => "WARN",
            17..=20 => "ERROR",
            21..=24 => "FATAL",
            _ => "-",
        })
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

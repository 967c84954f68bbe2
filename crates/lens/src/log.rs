//! A log record, as received.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::attributes::{Attributes, Value};
use crate::ids::{SpanId, TraceId};
use crate::service_name::ServiceName;
use crate::trace::Scope;

#[derive(Debug, Clone, PartialEq)]
pub struct LogRecord {
    /// Nanoseconds since the Unix epoch; the time of observation if the sender set no other.
    pub time_unix_nano: u64,
    pub severity: Severity,
    /// The sender's own name of the severity; may be empty.
    pub severity_text: String,
    pub body: Value,
    pub attributes: Attributes,
    /// Empty if the record is not an event.
    pub event_name: String,
    /// `service.name` of the resource; `unknown_service` if that is absent.
    pub service: ServiceName,
    pub resource: Arc<Attributes>,
    pub scope: Arc<Scope>,
    pub trace_id: Option<TraceId>,
    pub span_id: Option<SpanId>,
}

/// OTLP's severity number: 1 to 24, 0 if the sender set none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Severity(pub i32);

impl Severity {
    /// The lowest number of a warning.
    pub const WARN: Self = Self(13);
    /// The lowest number of an error.
    pub const ERROR: Self = Self(17);
}

impl LogRecord {
    /// An estimate of the memory used, without the shared service, resource and scope.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.severity_text.len()
            + self.body.heap_bytes()
            + self.attributes.heap_bytes()
            + self.event_name.len()
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

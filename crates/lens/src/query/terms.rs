//! What a query consists of.

use std::ops::RangeInclusive;

use super::needle::Needle;
use super::operand::{Comparison, Operand};
use crate::ids::TraceId;
use crate::trace::{SpanKind, Status};

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Term {
    /// Some span or log record of a trace, or the trace itself, meets the test.
    Anywhere(Test),
    /// One span meets all tests.
    OneSpan(Vec<Test>),
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Test {
    pub(crate) negated: bool,
    pub(crate) condition: Condition,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    Text(Needle),
    Failed,
    Trace(TraceId),
    Service(String),
    Name(String),
    Root(String),
    Kind(SpanKind),
    Status(Status),
    /// In nanoseconds.
    Duration(Comparison, u64),
    /// Severity numbers.
    Level(RangeInclusive<i32>),
    Attribute(String, Comparison, Operand),
}

impl Condition {
    /// Whether a log record can meet it.
    pub(crate) fn applies_to_logs(&self) -> bool {
        !matches!(
            self,
            Self::Root(_) | Self::Kind(_) | Self::Status(_) | Self::Duration(..)
        )
    }

    /// Whether a trace is also found by a log record that meets it.
    pub(crate) fn may_be_logged(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Level(_) | Self::Attribute(..))
    }

    /// Whether a span can meet it.
    pub(crate) fn applies_to_spans(&self) -> bool {
        !matches!(self, Self::Level(_))
    }
}

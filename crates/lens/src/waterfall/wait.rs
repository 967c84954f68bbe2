//! The parts of a critical path, and what each waited for.

use std::fmt;
use std::time::Duration;

use crate::systems;
use crate::trace::{Span, SpanKind};

/// A part of the critical path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Segment<'a> {
    /// `None` while no span ran.
    pub span: Option<&'a Span>,
    pub wait: Wait<'a>,
    pub start_unix_nano: u64,
    pub end_unix_nano: u64,
}

/// What a trace waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Wait<'a> {
    /// A database or a cache, by the name that people use: `PostgreSQL`.
    Store(&'a str),
    /// A service or host that the traced code called.
    Service(&'a str),
    /// From the start of sending a message to the start of its processing.
    Queue,
    /// The code of the traced services.
    OwnCode,
    /// No span covers this time.
    Unrecorded,
}

impl Segment<'_> {
    #[must_use]
    pub fn duration(&self) -> Duration {
        Duration::from_nanos(self.end_unix_nano.saturating_sub(self.start_unix_nano))
    }
}

impl fmt::Display for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Store(name) | Self::Service(name) => name,
            Self::Queue => "queue",
            Self::OwnCode => "own code",
            Self::Unrecorded => "no span",
        })
    }
}

/// What a trace waits for while it waits for this span, as far as the span says.
pub(super) fn own_wait(span: &Span) -> Wait<'_> {
    if let Some(store) = systems::store(span) {
        return Wait::Store(store);
    }
    match span.kind {
        SpanKind::Producer => Wait::Queue,
        SpanKind::Client => Wait::Service(systems::host(span).unwrap_or("another service")),
        _ => Wait::OwnCode,
    }
}

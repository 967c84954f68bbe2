//! A trace in one line: what the store knows of it without a walk over its spans, and what lists show.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::format::{milliseconds, utc};
use crate::ids::TraceId;
use crate::service_name::ServiceName;
use crate::trace::{Span, Trace};

/// Further services of a trace are not listed.
const MAX_SERVICES: usize = 64;

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TraceSummary {
    pub trace_id: TraceId,
    /// The name of the root span, or of the first span if the root was not received.
    pub root_name: String,
    /// By the start of their first span.
    pub services: Vec<ServiceName>,
    /// The start of the first span.
    pub start: DateTime<Utc>,
    /// From the start of the first span to the end of the last.
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    pub duration: Duration,
    /// The number of spans received.
    pub spans: usize,
    /// The number of failed spans.
    pub errors: usize,
    /// The first value of each of `LENS_KEY_ATTRIBUTES` on a span.
    pub keys: BTreeMap<String, String>,
}

/// What is known of a trace, brought up to date with each span.
#[derive(Debug, Default)]
pub(crate) struct TraceFacts {
    start_unix_nano: u64,
    end_unix_nano: u64,
    errors: usize,
    /// The index of the root span, and what makes another span the root in its place.
    root: Option<(usize, Precedence)>,
    services: Vec<(ServiceName, u64)>,
}

/// The smallest is the root: a span without a parent before others, then by time.
type Precedence = (bool, u64, Reverse<u64>);

impl TraceFacts {
    /// Adds the span with this index. Returns its service if the trace had no span of that.
    pub(crate) fn add(&mut self, index: usize, span: &Span) -> Option<ServiceName> {
        let (start, end) = (span.start_unix_nano, span.end_unix_nano);
        self.start_unix_nano = if index == 0 {
            start
        } else {
            self.start_unix_nano.min(start)
        };
        self.end_unix_nano = self.end_unix_nano.max(end);
        self.errors += usize::from(span.failed());
        let precedence = (span.parent_span_id.is_some(), start, Reverse(end));
        if self.root.is_none_or(|(_, root)| precedence < root) {
            self.root = Some((index, precedence));
        }
        let mut services = self.services.iter_mut();
        if let Some((_, first)) = services.find(|(service, _)| *service == span.service) {
            *first = start.min(*first);
            return None;
        }
        (self.services.len() < MAX_SERVICES).then(|| {
            self.services.push((span.service.clone(), start));
            span.service.clone()
        })
    }

    pub(crate) fn start_unix_nano(&self) -> u64 {
        self.start_unix_nano
    }

    pub(crate) fn duration_nanos(&self) -> u64 {
        self.end_unix_nano.saturating_sub(self.start_unix_nano)
    }

    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    pub(crate) fn root<'a>(&self, trace: &'a Trace) -> Option<&'a Span> {
        self.root.and_then(|(index, _)| trace.spans.get(index))
    }

    pub(crate) fn services(&self) -> impl Iterator<Item = &ServiceName> {
        self.services.iter().map(|(service, _)| service)
    }

    pub(crate) fn has_service(&self, name: &str) -> bool {
        self.services().any(|service| *service == *name)
    }
}

impl TraceSummary {
    pub(crate) fn of(trace: &Trace, facts: &TraceFacts, keys: BTreeMap<String, String>) -> Self {
        let mut services = facts.services.clone();
        services.sort_by_key(|(_, start)| *start);
        Self {
            trace_id: trace.trace_id,
            root_name: facts
                .root(trace)
                .map(|span| span.name.clone())
                .unwrap_or_default(),
            services: services.into_iter().map(|(service, _)| service).collect(),
            start: utc(facts.start_unix_nano),
            duration: Duration::from_nanos(facts.duration_nanos()),
            spans: trace.spans.len(),
            errors: facts.errors,
            keys,
        }
    }
}

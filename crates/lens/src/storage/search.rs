//! Searches. They examine traces and records in slices of about a millisecond, and receivers get the lock
//! between two of them.

use std::collections::{BTreeMap, HashSet};
use std::ops::{ControlFlow, Range};
use std::sync::Mutex;
use std::time::Duration;

use super::lock::lock;
use super::logs::Logs;
use super::traces::{Stored, Traces, Walk};
use crate::ids::TraceId;
use crate::log::LogRecord;
use crate::map::{MapBuilder, ServiceMap};
use crate::query::{Comparison, Condition, LogMatcher, Term, TraceMatcher, Work, log_meets};
use crate::rates::{Rates, RootSample, RootSamples};
use crate::search::{Cursor, LogSearch, Page, TraceSearch};

/// Steps between two moments at which the lock is free.
const SLICE: u64 = 1_000_000;
/// The place of a span in a map is found with two lookups and up to five attributes.
const STEPS_PER_MAPPED_SPAN: usize = 200;
/// An indexed value of more traces than this is found by a walk over all traces.
const MAX_CANDIDATES: usize = 10_000;

pub(super) fn traces<T>(
    traces: &Mutex<Traces>,
    logs: &Mutex<Logs>,
    search: &TraceSearch,
    mut convert: impl FnMut(&Traces, &Stored) -> T,
) -> Page<T> {
    let mut found = Vec::new();
    let walked = walk_traces(traces, logs, search, |place, traces, stored, _| {
        found.push((place, convert(traces, stored)));
        break_if(found.len() > search.limit)
    });
    page(found, search.limit, &walked)
}

pub(super) fn logs(logs: &Mutex<Logs>, search: &LogSearch) -> Page<LogRecord> {
    let matcher = LogMatcher(search.query.terms());
    let mut found = Vec::new();
    let mut work = Work::default();
    let mut position = search.after.unwrap_or(Cursor::before(search.recorded.end));
    let walked = walk_logs(
        logs,
        &mut position,
        search.recorded.start,
        &mut work,
        |place, log, work| {
            if matcher.matches(log, work) && !work.is_exhausted() {
                found.push((place, log.clone()));
            }
            break_if(found.len() > search.limit)
        },
    );
    page(found, search.limit, &walked)
}

pub(super) fn rates(traces: &Mutex<Traces>, logs: &Mutex<Logs>, search: &TraceSearch, steps: usize) -> Rates {
    let mut samples = RootSamples::default();
    let walked = walk_traces(traces, logs, &whole(search), |_, _, stored, _| {
        let sample = RootSample {
            start_unix_nano: stored.facts.start_unix_nano(),
            duration_nanos: stored.facts.duration_nanos(),
            has_failed: stored.facts.errors() > 0,
        };
        let root = stored.facts.root(&stored.trace);
        samples.add(root.map_or("", |root| &root.name), sample);
        ControlFlow::Continue(())
    });
    samples.rates(&search.started, steps, walked.is_partial)
}

pub(super) fn service_map(traces: &Mutex<Traces>, logs: &Mutex<Logs>, search: &TraceSearch) -> ServiceMap {
    let mut map = MapBuilder::default();
    let walked = walk_traces(traces, logs, &whole(search), |_, _, stored, work| {
        work.spend(STEPS_PER_MAPPED_SPAN * stored.trace.spans.len());
        map.add(&stored.trace);
        ControlFlow::Continue(())
    });
    let Range { start, end } = search.started;
    let is_limited = start > 0 && end < u64::MAX;
    let between = is_limited.then(|| Duration::from_nanos(end.saturating_sub(start)));
    map.map(between, walked.is_partial)
}

/// From the newest trace on.
fn whole(search: &TraceSearch) -> TraceSearch {
    TraceSearch {
        after: None,
        ..search.clone()
    }
}

/// How a walk ended.
pub(super) struct Walked {
    /// It had spent its work.
    is_partial: bool,
    /// Where another walk can continue a partial one.
    next: Option<Cursor>,
}

/// Visits the traces that match, newest first, until `visit` breaks.
pub(super) fn walk_traces(
    traces: &Mutex<Traces>,
    logs: &Mutex<Logs>,
    search: &TraceSearch,
    mut visit: impl FnMut(Cursor, &Traces, &Stored, &mut Work) -> ControlFlow<()>,
) -> Walked {
    let terms = search.query.terms();
    let mut of_logs = Work::half();
    let matcher = TraceMatcher::new(terms, |condition| logged(logs, condition, &mut of_logs));
    let candidates = candidates(&lock(traces), &matcher);
    let mut walk = Walk {
        candidates,
        matcher,
        position: search.after.unwrap_or(Cursor::before(search.started.end)),
        from_unix_nano: search.started.start,
    };
    let mut work = Work::half();
    while lock(traces).walk(&mut walk, SLICE, &mut work, &mut visit) == ControlFlow::Continue(true) {
        if work.is_exhausted() {
            return Walked {
                is_partial: true,
                next: Some(walk.position),
            };
        }
        std::thread::yield_now();
    }
    Walked {
        is_partial: of_logs.is_exhausted(),
        next: None,
    }
}

fn walk_logs(
    logs: &Mutex<Logs>,
    position: &mut Cursor,
    from_unix_nano: u64,
    work: &mut Work,
    mut visit: impl FnMut(Cursor, &LogRecord, &mut Work) -> ControlFlow<()>,
) -> Walked {
    while lock(logs).walk(position, from_unix_nano, SLICE, work, &mut visit) == ControlFlow::Continue(true) {
        if work.is_exhausted() {
            return Walked {
                is_partial: true,
                next: Some(*position),
            };
        }
        std::thread::yield_now();
    }
    Walked {
        is_partial: false,
        next: None,
    }
}

/// The traces of the log records that meet a condition.
fn logged(logs: &Mutex<Logs>, condition: &Condition, work: &mut Work) -> HashSet<TraceId> {
    let mut found = HashSet::new();
    walk_logs(logs, &mut Cursor::before(u64::MAX), 0, work, |_, log, work| {
        if let Some(id) = log.trace_id
            && log_meets(log, condition, work)
        {
            found.insert(id);
        }
        ControlFlow::Continue(())
    });
    found
}

/// The traces among which those that match are, if an index finds them.
fn candidates(traces: &Traces, matcher: &TraceMatcher<'_>) -> Option<BTreeMap<Cursor, TraceId>> {
    matcher.terms().find_map(|(term, logged)| {
        let Term::Anywhere(test) = term else { return None };
        let Condition::Attribute(key, Comparison::Equal, operand) = &test.condition else {
            return None;
        };
        if test.negated {
            return None;
        }
        let indexed = traces.indexed(key, &operand.text)?;
        let ids = indexed.iter().chain(logged).copied();
        (indexed.len() <= MAX_CANDIDATES).then(|| traces.places(ids))
    })
}

fn break_if(condition: bool) -> ControlFlow<()> {
    if condition {
        ControlFlow::Break(())
    } else {
        ControlFlow::Continue(())
    }
}

/// One item more than the limit says that there is a next page.
fn page<T>(mut found: Vec<(Cursor, T)>, limit: usize, walked: &Walked) -> Page<T> {
    let is_full = found.len() > limit;
    found.truncate(limit);
    let last = found.last().map(|(place, _)| *place);
    Page {
        next: if is_full { last } else { walked.next },
        partial: walked.is_partial,
        items: found.into_iter().map(|(_, item)| item).collect(),
    }
}

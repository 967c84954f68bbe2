//! Whether a trace or a log record matches a query.

use std::collections::HashSet;
use std::sync::Arc;

use super::operand::{Comparison, Operand};
use super::terms::{Condition, Term, Test};
use super::work::Work;
use crate::attributes::Attributes;
use crate::ids::TraceId;
use crate::log::{LogRecord, Severity};
use crate::summary::TraceFacts;
use crate::trace::{Event, Span, Trace};

/// Steps of a test besides the attributes and texts that it examines.
const STEPS_PER_TEST: usize = 4;

/// The terms of a query, each with the traces of the log records that meet it.
#[derive(Debug)]
pub(crate) struct TraceMatcher<'q> {
    terms: Vec<(&'q Term, HashSet<TraceId>)>,
}

/// The terms of a query of log records.
#[derive(Debug)]
pub(crate) struct LogMatcher<'q>(pub(crate) &'q [Term]);

impl<'q> TraceMatcher<'q> {
    /// `logged` finds the traces of the log records that meet a condition.
    pub(crate) fn new(terms: &'q [Term], mut logged: impl FnMut(&'q Condition) -> HashSet<TraceId>) -> Self {
        let with_logged = |term: &'q Term| match term {
            Term::Anywhere(test) if test.condition.may_be_logged() => (term, logged(&test.condition)),
            _ => (term, HashSet::new()),
        };
        Self {
            terms: terms.iter().map(with_logged).collect(),
        }
    }

    /// The terms, each with the traces of the log records that meet it.
    pub(crate) fn terms(&self) -> impl Iterator<Item = (&'q Term, &HashSet<TraceId>)> {
        self.terms.iter().map(|(term, logged)| (*term, logged))
    }

    pub(crate) fn matches(&self, trace: &Trace, facts: &TraceFacts, work: &mut Work) -> bool {
        self.terms.iter().all(|(term, logged)| match term {
            Term::Anywhere(test) => {
                let is_logged = logged.contains(&trace.trace_id);
                (is_logged || trace_meets(trace, facts, test, work)) != test.negated
            }
            Term::OneSpan(tests) => {
                let mut tests: Vec<SpanTest<'_>> = tests.iter().map(SpanTest::of).collect();
                let mut meets_all = |span| {
                    tests
                        .iter_mut()
                        .all(|it| it.is_met(span, work) != it.test.negated)
                };
                trace.spans.iter().any(&mut meets_all)
            }
        })
    }
}

impl LogMatcher<'_> {
    pub(crate) fn matches(&self, log: &LogRecord, work: &mut Work) -> bool {
        self.0.iter().all(|term| match term {
            Term::Anywhere(test) => log_meets(log, &test.condition, work) != test.negated,
            Term::OneSpan(_) => false,
        })
    }
}

pub(crate) fn log_meets(log: &LogRecord, condition: &Condition, work: &mut Work) -> bool {
    work.spend(STEPS_PER_TEST);
    match condition {
        Condition::Text(needle) => {
            needle.is_in_value(&log.body, work)
                || needle.is_in(&log.event_name, work)
                || needle.is_in(&log.service, work)
                || needle.is_in_values_of(&log.attributes, work)
        }
        Condition::Failed => log.severity >= Severity::ERROR,
        Condition::Trace(id) => log.trace_id == Some(*id),
        Condition::Service(name) => log.service == **name,
        Condition::Name(name) => log.event_name == *name,
        Condition::Level(numbers) => numbers.contains(&log.severity.0),
        Condition::Attribute(key, comparison, operand) => {
            has_attribute(&log.attributes, key, *comparison, operand, work)
                || has_attribute(&log.resource, key, *comparison, operand, work)
        }
        Condition::Root(_) | Condition::Kind(_) | Condition::Status(_) | Condition::Duration(..) => false,
    }
}

fn trace_meets(trace: &Trace, facts: &TraceFacts, test: &Test, work: &mut Work) -> bool {
    work.spend(STEPS_PER_TEST);
    match &test.condition {
        Condition::Failed => facts.errors() > 0,
        Condition::Trace(id) => trace.trace_id == *id,
        Condition::Service(name) => facts.has_service(name),
        Condition::Root(name) => facts.root(trace).is_some_and(|root| root.name == *name),
        Condition::Duration(comparison, nanos) => comparison.holds(facts.duration_nanos().cmp(nanos)),
        Condition::Level(_) => false,
        _ => {
            let mut test = SpanTest::of(test);
            trace.spans.iter().any(|span| test.is_met(span, work))
        }
    }
}

/// A test of the spans of one trace.
struct SpanTest<'a> {
    test: &'a Test,
    /// The process of the last span that was tested, and whether its attributes meet the test.
    process: Option<(&'a Arc<Attributes>, bool)>,
}

impl<'a> SpanTest<'a> {
    fn of(test: &'a Test) -> Self {
        Self { test, process: None }
    }

    fn is_met(&mut self, span: &'a Span, work: &mut Work) -> bool {
        if work.is_exhausted() {
            return false;
        }
        work.spend(STEPS_PER_TEST);
        match &self.test.condition {
            Condition::Text(needle) => {
                let mut is_in_event = |event: &Event| {
                    needle.is_in(&event.name, work) || needle.is_in_values_of(&event.attributes, work)
                };
                span.events.iter().any(&mut is_in_event)
                    || needle.is_in(&span.name, work)
                    || needle.is_in(&span.status_message, work)
                    || needle.is_in(&span.service, work)
                    || needle.is_in_values_of(&span.attributes, work)
            }
            Condition::Failed => span.failed(),
            Condition::Trace(id) => span.trace_id == *id,
            Condition::Service(name) => span.service == **name,
            Condition::Name(name) => span.name == *name,
            Condition::Root(name) => span.parent_span_id.is_none() && span.name == *name,
            Condition::Kind(kind) => span.kind == *kind,
            Condition::Status(status) => span.status == *status,
            Condition::Duration(comparison, nanos) => {
                let duration = span.end_unix_nano.saturating_sub(span.start_unix_nano);
                comparison.holds(duration.cmp(nanos))
            }
            Condition::Level(_) => false,
            Condition::Attribute(key, comparison, operand) => {
                let mut has =
                    |attributes: &Attributes| has_attribute(attributes, key, *comparison, operand, work);
                if has(&span.attributes) || span.events.iter().any(|event| has(&event.attributes)) {
                    return true;
                }
                match self.process {
                    Some((last, result)) if Arc::ptr_eq(last, &span.resource) => result,
                    _ => {
                        let result = has(&span.resource);
                        self.process = Some((&span.resource, result));
                        result
                    }
                }
            }
        }
    }
}

fn has_attribute(
    attributes: &Attributes,
    key: &str,
    comparison: Comparison,
    operand: &Operand,
    work: &mut Work,
) -> bool {
    work.spend(2 * attributes.len());
    let mut of_key = attributes.iter().filter(|(name, _)| *name == key);
    of_key.any(|(_, value)| {
        // A list or a map is examined as a whole, and printed.
        work.spend(value.heap_bytes() / 8);
        operand.matches(value, comparison)
    })
}

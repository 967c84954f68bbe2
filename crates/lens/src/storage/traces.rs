//! Traces, by id, by start and by the values of key attributes. Beyond the limit, the trace with the oldest
//! last span is evicted.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use foldhash::fast::RandomState;

use super::arrivals::Arrivals;
use super::keys::{Keys, KeysOfTrace};
use super::links::Links;
use crate::ids::{SpanId, TraceId};
use crate::query::{TraceMatcher, Work};
use crate::search::Cursor;
use crate::service_name::ServiceName;
use crate::summary::{TraceFacts, TraceSummary};
use crate::trace::{LinkFrom, Span, Trace};

/// Estimated bytes of a trace besides its spans: its entries in the maps.
const TRACE_OVERHEAD: usize = 512;
/// Estimated bytes of a span besides itself: its id in `known`, and the spare capacity of the list.
const SPAN_OVERHEAD: usize = 96;
/// Estimated bytes of a service of a trace.
const SERVICE_OVERHEAD: usize = 64;
/// Links of other traces to one: more are not shown, and not looked for in more spans.
const MAX_LINKS_FROM: usize = 200;
const MAX_SPANS_EXAMINED: usize = 20_000;
/// Steps of a search for each trace besides those of its tests.
const STEPS_PER_TRACE: usize = 100;

#[derive(Debug)]
pub(super) struct Traces {
    max_bytes: usize,
    bytes: usize,
    arrivals: u64,
    by_id: HashMap<TraceId, Stored, RandomState>,
    by_arrival: BTreeMap<u64, TraceId>,
    by_start: BTreeMap<Cursor, TraceId>,
    /// Each service with the number of its traces.
    services: BTreeMap<ServiceName, usize>,
    keys: Keys,
    links: Links,
    received: Arrivals,
    started: Instant,
}

#[derive(Debug)]
pub(super) struct Stored {
    pub(super) trace: Trace,
    pub(super) facts: TraceFacts,
    known: HashSet<SpanId, RandomState>,
    keys: KeysOfTrace,
    arrival: u64,
    bytes: usize,
}

/// A walk over traces from the newest to the oldest, in slices.
#[derive(Debug)]
pub(super) struct Walk<'q> {
    pub(super) matcher: TraceMatcher<'q>,
    /// Only these traces; `None` for all.
    pub(super) candidates: Option<BTreeMap<Cursor, TraceId>>,
    /// The last trace that was examined.
    pub(super) position: Cursor,
    /// Traces that started before are not examined.
    pub(super) from_unix_nano: u64,
}

impl Traces {
    pub(super) fn new(max_bytes: usize, key_attributes: &[String]) -> Self {
        Self {
            max_bytes,
            bytes: 0,
            arrivals: 0,
            by_id: HashMap::default(),
            by_arrival: BTreeMap::new(),
            by_start: BTreeMap::new(),
            services: BTreeMap::new(),
            keys: Keys::new(key_attributes),
            links: Links::default(),
            received: Arrivals::default(),
            started: Instant::now(),
        }
    }

    /// An average of the last seconds.
    pub(super) fn received_per_second(&self) -> f64 {
        self.received.per_second(self.started.elapsed().as_secs())
    }

    /// Adds the spans, except those already known from an earlier attempt of a retried export.
    pub(super) fn add(&mut self, spans: Vec<Span>) {
        self.received.add(self.started.elapsed().as_secs(), spans.len());
        for span in spans {
            self.add_span(span);
        }
        while self.bytes > self.max_bytes
            && let Some((_, oldest)) = self.by_arrival.pop_first()
        {
            self.evict(oldest);
        }
    }

    /// The links of other traces to this one, at most `MAX_LINKS_FROM`, each with the span it leads to.
    pub(super) fn links_from(&self, id: &TraceId) -> Vec<(SpanId, LinkFrom)> {
        let traces = self.links.to(id).filter_map(|from| self.get(from));
        let spans = traces.flat_map(|trace| &trace.spans).take(MAX_SPANS_EXAMINED);
        let links = spans.flat_map(|span| {
            let to_it = span.links.iter().filter(|link| link.trace_id == *id);
            to_it.map(|link| (link.span_id, LinkFrom::of(span)))
        });
        links.take(MAX_LINKS_FROM).collect()
    }

    pub(super) fn get(&self, id: &TraceId) -> Option<&Trace> {
        self.by_id.get(id).map(|stored| &stored.trace)
    }

    /// By their start.
    pub(super) fn ids(&self) -> impl Iterator<Item = TraceId> {
        self.by_start.values().copied()
    }

    pub(super) fn services(&self) -> impl Iterator<Item = &ServiceName> {
        self.services.keys()
    }

    pub(super) fn summary_of(&self, id: &TraceId) -> Option<TraceSummary> {
        self.by_id.get(id).map(|stored| self.summary(stored))
    }

    pub(super) fn summary(&self, stored: &Stored) -> TraceSummary {
        TraceSummary::of(&stored.trace, &stored.facts, self.keys.first(&stored.keys))
    }

    /// The traces of an attribute's value by its index; `None` if it is not indexed.
    pub(super) fn indexed(&self, key: &str, value: &str) -> Option<&BTreeSet<TraceId>> {
        self.keys.find(key, value)
    }

    /// The places of traces in the order of their starts.
    pub(super) fn places(&self, ids: impl IntoIterator<Item = TraceId>) -> BTreeMap<Cursor, TraceId> {
        let place = |id| Some((self.by_id.get(&id)?.place(), id));
        ids.into_iter().filter_map(place).collect()
    }

    /// Examines further traces until `visit` breaks or `slice` steps are spent. Returns whether traces are
    /// left.
    pub(super) fn walk(
        &self,
        walk: &mut Walk<'_>,
        slice: u64,
        work: &mut Work,
        mut visit: impl FnMut(Cursor, &Self, &Stored, &mut Work) -> ControlFlow<()>,
    ) -> ControlFlow<(), bool> {
        let until = work.left().saturating_sub(slice);
        let places = walk.candidates.as_ref().unwrap_or(&self.by_start);
        for (place, id) in places.range(..walk.position).rev() {
            if place.unix_nano < walk.from_unix_nano {
                break;
            }
            walk.position = *place;
            work.spend(STEPS_PER_TRACE);
            let Some(stored) = self.by_id.get(id) else {
                continue;
            };
            let is_match = walk.matcher.matches(&stored.trace, &stored.facts, work);
            if work.is_exhausted() {
                return ControlFlow::Continue(true);
            }
            if is_match {
                visit(*place, self, stored, work)?;
            }
            if work.left() <= until {
                return ControlFlow::Continue(true);
            }
        }
        ControlFlow::Continue(false)
    }

    fn add_span(&mut self, span: Span) {
        let id = span.trace_id;
        let stored = self.by_id.entry(id).or_insert_with(|| {
            self.bytes += TRACE_OVERHEAD;
            Stored::new(id)
        });
        if !stored.known.insert(span.span_id) {
            return;
        }
        // Consecutive spans of a trace do not move it.
        if stored.arrival == 0 || stored.arrival != self.arrivals {
            self.by_arrival.remove(&stored.arrival);
            self.arrivals += 1;
            self.by_arrival.insert(self.arrivals, id);
            stored.arrival = self.arrivals;
        }

        let mut bytes = SPAN_OVERHEAD + span.bytes();
        if !stored.shares_origin_of_last(&span) {
            bytes += span.resource.heap_bytes() + span.scope.heap_bytes() + span.service.len();
        }
        bytes += self.keys.add(&span, &mut stored.keys);
        bytes += self.links.add(&span);

        let index = stored.trace.spans.len();
        let place = stored.place();
        if let Some(service) = stored.facts.add(index, &span) {
            bytes += SERVICE_OVERHEAD + service.len();
            *self.services.entry(service).or_default() += 1;
        }
        if index == 0 || stored.place() != place {
            self.by_start.remove(&place);
            self.by_start.insert(stored.place(), id);
        }
        stored.bytes += bytes;
        self.bytes += bytes;
        stored.trace.spans.push(span);
    }

    fn evict(&mut self, id: TraceId) {
        let Some(stored) = self.by_id.remove(&id) else {
            return;
        };
        self.bytes -= stored.bytes;
        self.by_start.remove(&stored.place());
        self.keys.remove(id, &stored.keys);
        self.links.remove(&stored.trace.spans);
        for service in stored.facts.services() {
            if let Some(traces) = self.services.get_mut(service) {
                *traces -= 1;
                if *traces == 0 {
                    self.services.remove(service);
                }
            }
        }
        tracing::debug!(trace_id = %id, "evicted a trace");
    }
}

impl Stored {
    fn new(id: TraceId) -> Self {
        Self {
            trace: Trace {
                trace_id: id,
                spans: Vec::new(),
            },
            facts: TraceFacts::default(),
            known: HashSet::default(),
            keys: KeysOfTrace::new(),
            arrival: 0,
            bytes: TRACE_OVERHEAD,
        }
    }

    fn place(&self) -> Cursor {
        Cursor {
            unix_nano: self.facts.start_unix_nano(),
            tie: self.trace.trace_id.as_u128(),
        }
    }

    /// Whether the previous span shares its resource and scope, which are then already counted.
    fn shares_origin_of_last(&self, span: &Span) -> bool {
        self.trace.spans.last().is_some_and(|last| {
            Arc::ptr_eq(&last.resource, &span.resource) && Arc::ptr_eq(&last.scope, &span.scope)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{Attributes, Value};
    use crate::fixtures::{span, trace_id};
    use crate::trace::Link;

    fn span_of(trace: u128, order: &str) -> Span {
        Span {
            trace_id: trace_id(trace),
            attributes: Attributes::from_iter([("order.id", Value::String(order.into()))]),
            ..span(1, 0, "a", 0..10)
        }
    }

    #[test]
    fn the_oldest_trace_is_evicted_from_all_indexes() {
        let mut traces = Traces::new(4_000, &["order.id".to_owned()]);
        for id in 1..=100 {
            traces.add(vec![span_of(id, &format!("order-{id}"))]);
            assert!(traces.bytes <= traces.max_bytes);
        }
        assert!(traces.get(&trace_id(1)).is_none());
        assert!(traces.get(&trace_id(100)).is_some());
        let stored = traces.by_id.len();
        assert!((1..10).contains(&stored), "{stored}");
        assert_eq!((traces.by_arrival.len(), traces.by_start.len()), (stored, stored));
        assert_eq!(traces.services.get("shop"), Some(&stored));
        assert!(traces.indexed("order.id", "order-1").is_none());
        assert_eq!(traces.indexed("order.id", "order-100").unwrap().len(), 1);
    }

    #[test]
    fn a_link_is_found_from_the_trace_that_it_leads_to_until_its_own_is_evicted() {
        let mut traces = Traces::new(8_000, &[]);
        let id = |id: u64| SpanId::from_bytes(&id.to_be_bytes()).unwrap();
        let link = |trace, span| Link {
            trace_id: trace_id(trace),
            span_id: id(span),
            trace_state: String::new(),
            flags: 0,
            attributes: Attributes::default(),
        };
        traces.add(vec![Span {
            links: vec![link(2, 7), link(1, 1)],
            ..span_of(1, "linking")
        }]);
        let expected = [(id(7), trace_id(1))];
        let found = |traces: &Traces| -> Vec<(SpanId, TraceId)> {
            let links = traces.links_from(&trace_id(2)).into_iter();
            links.map(|(to, from)| (to, from.trace_id)).collect()
        };
        assert_eq!(found(&traces), expected);
        // A link within a trace is no link from another one.
        assert!(traces.links_from(&trace_id(1)).is_empty());
        for other in 3..100 {
            traces.add(vec![span_of(other, "other")]);
        }
        assert!(traces.get(&trace_id(1)).is_none() && found(&traces).is_empty());
        assert_eq!(traces.links.to(&trace_id(2)).count(), 0);
    }

    #[test]
    fn a_trace_with_a_new_span_outlives_a_younger_one() {
        let mut traces = Traces::new(8_000, &[]);
        traces.add(vec![span_of(1, "first")]);
        traces.add(vec![span_of(2, "second")]);
        traces.add(vec![Span {
            trace_id: trace_id(1),
            ..span(2, 1, "b", 0..1)
        }]);
        let evicted = (3..100).find(|id| {
            traces.add(vec![span_of(*id, "other")]);
            traces.get(&trace_id(2)).is_none()
        });
        assert!(evicted.is_some());
        assert_eq!(traces.get(&trace_id(1)).unwrap().spans.len(), 2);
    }

    #[test]
    fn a_trace_larger_than_the_limit_is_not_stored() {
        let mut traces = Traces::new(4_000, &["order.id".to_owned()]);
        traces.add((1..100).map(|id| span(id, 0, "a", 0..1)).collect());
        assert_eq!(
            (traces.bytes, traces.by_id.len(), traces.services.len()),
            (0, 0, 0)
        );
    }
}

//! Traces, indexed by service and by order, and bounded: the one that waited longest for a new span gives way first.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::TraceFilter;
use crate::ids::{SpanId, TraceId};
use crate::trace::{Span, Trace};

/// What a trace takes besides its spans: its places in the maps.
const TRACE_OVERHEAD: usize = 512;
/// What a span takes besides itself: its id among the known ones, and the spare room of the growing list.
const SPAN_OVERHEAD: usize = 96;

#[derive(Debug)]
pub(super) struct Traces {
    max_bytes: usize,
    bytes: usize,
    arrivals: u64,
    by_id: HashMap<TraceId, Stored>,
    by_arrival: BTreeMap<u64, TraceId>,
    by_service: Index,
    by_order: Index,
}

type Index = BTreeMap<String, BTreeSet<TraceId>>;

#[derive(Debug)]
struct Stored {
    trace: Trace,
    known: HashSet<SpanId>,
    start_unix_nano: u64,
    arrival: u64,
    bytes: usize,
}

impl Traces {
    pub(super) fn new(max_bytes: usize) -> Self {
        Self {
            max_bytes,
            bytes: 0,
            arrivals: 0,
            by_id: HashMap::new(),
            by_arrival: BTreeMap::new(),
            by_service: Index::new(),
            by_order: Index::new(),
        }
    }

    /// Takes the spans in, a known one (an export that was retried) only once, then makes room.
    pub(super) fn add(&mut self, spans: Vec<Span>) {
        for span in spans {
            self.add_span(span);
        }
        while self.bytes > self.max_bytes
            && let Some((_, oldest)) = self.by_arrival.pop_first()
        {
            self.remove(&oldest);
        }
    }

    pub(super) fn get(&self, id: &TraceId) -> Option<&Trace> {
        self.by_id.get(id).map(|stored| &stored.trace)
    }

    pub(super) fn services(&self) -> Vec<String> {
        self.by_service.keys().cloned().collect()
    }

    /// The newest `limit` traces that pass the filter; `logged` are those that a log record ties to its order.
    pub(super) fn newest(
        &self,
        filter: &TraceFilter,
        logged: &BTreeSet<TraceId>,
        limit: usize,
    ) -> Vec<&Trace> {
        let with = |index: &Index, key: &Option<String>, id: &TraceId| match key {
            Some(key) => index.get(key).is_some_and(|ids| ids.contains(id)),
            None => true,
        };
        let mut found: Vec<&Stored> = self
            .by_id
            .iter()
            .filter(|(id, _)| with(&self.by_service, &filter.service, id))
            .filter(|(id, _)| with(&self.by_order, &filter.order_id, id) || logged.contains(id))
            .map(|(_, stored)| stored)
            .collect();
        found.sort_by_key(|stored| Reverse((stored.start_unix_nano, stored.arrival)));
        found
            .into_iter()
            .take(limit)
            .map(|stored| &stored.trace)
            .collect()
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
        self.by_arrival.remove(&stored.arrival);
        self.arrivals += 1;
        self.by_arrival.insert(self.arrivals, id);
        stored.arrival = self.arrivals;

        let mut bytes = SPAN_OVERHEAD + span.bytes();
        if !stored.holds_origin_of(&span) {
            bytes += span.resource.heap_bytes() + span.scope.heap_bytes();
        }
        bytes += index(&mut self.by_service, Some(&span.service), id);
        bytes += index(&mut self.by_order, span.order_id(), id);
        stored.bytes += bytes;
        self.bytes += bytes;

        stored.start_unix_nano = stored.start_unix_nano.min(span.start_unix_nano);
        stored.trace.spans.push(span);
    }

    fn remove(&mut self, id: &TraceId) {
        let Some(stored) = self.by_id.remove(id) else {
            return;
        };
        self.bytes -= stored.bytes;
        for span in &stored.trace.spans {
            unindex(&mut self.by_service, Some(&span.service), id);
            unindex(&mut self.by_order, span.order_id(), id);
        }
        tracing::debug!(trace_id = %id, "a trace gave way to newer ones");
    }
}

impl Stored {
    fn new(id: TraceId) -> Self {
        Self {
            trace: Trace {
                trace_id: id,
                spans: Vec::new(),
            },
            known: HashSet::new(),
            start_unix_nano: u64::MAX,
            arrival: 0,
            bytes: TRACE_OVERHEAD,
        }
    }

    /// Whether the span before came with the same resource and scope, which are then already accounted for.
    fn holds_origin_of(&self, span: &Span) -> bool {
        self.trace.spans.last().is_some_and(|before| {
            Arc::ptr_eq(&before.resource, &span.resource) && Arc::ptr_eq(&before.scope, &span.scope)
        })
    }
}

/// Returns about how many bytes the index grew by.
fn index(index: &mut Index, key: Option<&str>, id: TraceId) -> usize {
    let Some(key) = key else { return 0 };
    if let Some(ids) = index.get_mut(key) {
        return if ids.insert(id) {
            2 * size_of::<TraceId>()
        } else {
            0
        };
    }
    index.insert(key.to_owned(), BTreeSet::from([id]));
    size_of::<(String, BTreeSet<TraceId>)>() + key.len() + 12 * size_of::<TraceId>()
}

fn unindex(index: &mut Index, key: Option<&str>, id: &TraceId) {
    if let Some(key) = key
        && let Some(ids) = index.get_mut(key)
    {
        ids.remove(id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{Attributes, Value};
    use crate::fixtures::{span, trace_id};

    fn span_of(trace: u128, order: &str) -> Span {
        Span {
            trace_id: trace_id(trace),
            attributes: Attributes::from_iter([("order.id".to_owned(), Value::String(order.to_owned()))]),
            ..span(1, 0, "a", 0..10)
        }
    }

    #[test]
    fn the_trace_that_waited_longest_gives_way_with_all_that_leads_to_it() {
        let mut traces = Traces::new(4_000);
        for id in 1..=100 {
            traces.add(vec![span_of(id, &format!("order-{id}"))]);
            assert!(traces.bytes <= traces.max_bytes);
        }
        assert!(traces.get(&trace_id(1)).is_none());
        assert!(traces.get(&trace_id(100)).is_some());
        let kept = traces.by_id.len();
        assert!((1..10).contains(&kept), "{kept}");
        assert_eq!((traces.by_arrival.len(), traces.by_order.len()), (kept, kept));
        assert_eq!(traces.by_service.get("shop").unwrap().len(), kept);
    }

    #[test]
    fn a_trace_that_got_a_new_span_outlives_a_younger_one() {
        let mut traces = Traces::new(8_000);
        traces.add(vec![span_of(1, "first")]);
        traces.add(vec![span_of(2, "second")]);
        traces.add(vec![Span {
            trace_id: trace_id(1),
            ..span(2, 1, "b", 0..1)
        }]);
        let gave_way = (3..100).find(|id| {
            traces.add(vec![span_of(*id, "other")]);
            traces.get(&trace_id(2)).is_none()
        });
        assert!(gave_way.is_some());
        assert_eq!(traces.get(&trace_id(1)).unwrap().spans.len(), 2);
    }

    #[test]
    fn a_trace_larger_than_the_bound_is_not_kept() {
        let mut traces = Traces::new(4_000);
        traces.add((1..100).map(|id| span(id, 0, "a", 0..1)).collect());
        assert_eq!(
            (traces.bytes, traces.by_id.len(), traces.by_service.len()),
            (0, 0, 0)
        );
    }
}

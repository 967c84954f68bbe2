//! Traces, indexed by service and by order. Beyond the limit, the trace with the oldest last span is evicted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::ids::{SpanId, TraceId};
use crate::trace::{Span, Trace};

/// Estimated bytes of a trace besides its spans: its entries in the maps.
const TRACE_OVERHEAD: usize = 512;
/// Estimated bytes of a span besides itself: its id in `known`, and the spare capacity of the list.
const SPAN_OVERHEAD: usize = 96;

/// Which traces to list. The default is all of them.
#[derive(Debug, Clone, Default)]
pub struct TraceFilter {
    /// Only traces with a span of this service.
    pub service: Option<String>,
    /// Only traces with this `order.id` on a span or a log record.
    pub order_id: Option<String>,
}

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

    /// Adds the spans, except those already known from an earlier attempt of a retried export.
    pub(super) fn add(&mut self, spans: Vec<Span>) {
        for span in spans {
            self.add_span(span);
        }
        while self.bytes > self.max_bytes
            && let Some((_, oldest)) = self.by_arrival.pop_first()
        {
            self.evict(&oldest);
        }
    }

    pub(super) fn get(&self, id: &TraceId) -> Option<&Trace> {
        self.by_id.get(id).map(|stored| &stored.trace)
    }

    pub(super) fn services(&self) -> Vec<String> {
        self.by_service.keys().cloned().collect()
    }

    /// The newest `limit` traces that match the filter; `logged` are the traces of the order's log records.
    pub(super) fn newest(
        &self,
        filter: &TraceFilter,
        logged: &BTreeSet<TraceId>,
        limit: usize,
    ) -> Vec<&Trace> {
        let matches = |index: &Index, key: &Option<String>, id: &TraceId| match key {
            Some(key) => index.get(key).is_some_and(|ids| ids.contains(id)),
            None => true,
        };
        let mut found: Vec<&Stored> = self
            .by_id
            .iter()
            .filter(|(id, _)| matches(&self.by_service, &filter.service, id))
            .filter(|(id, _)| matches(&self.by_order, &filter.order_id, id) || logged.contains(id))
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
        if !stored.shares_origin_of_last(&span) {
            bytes += span.resource.heap_bytes() + span.scope.heap_bytes();
        }
        bytes += index(&mut self.by_service, Some(&span.service), id);
        bytes += index(&mut self.by_order, span.order_id(), id);
        stored.bytes += bytes;
        self.bytes += bytes;

        stored.start_unix_nano = stored.start_unix_nano.min(span.start_unix_nano);
        stored.trace.spans.push(span);
    }

    fn evict(&mut self, id: &TraceId) {
        let Some(stored) = self.by_id.remove(id) else {
            return;
        };
        self.bytes -= stored.bytes;
        for span in &stored.trace.spans {
            unindex(&mut self.by_service, Some(&span.service), id);
            unindex(&mut self.by_order, span.order_id(), id);
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
            known: HashSet::new(),
            start_unix_nano: u64::MAX,
            arrival: 0,
            bytes: TRACE_OVERHEAD,
        }
    }

    /// Whether the previous span shares its resource and scope, which are then already counted.
    fn shares_origin_of_last(&self, span: &Span) -> bool {
        self.trace.spans.last().is_some_and(|last| {
            Arc::ptr_eq(&last.resource, &span.resource) && Arc::ptr_eq(&last.scope, &span.scope)
        })
    }
}

/// Returns an estimate of the bytes that the index grew by.
fn index(index: &mut Index, key: Option<&str>, id: TraceId) -> usize {
    let Some(key) = key else { return 0 };
    if let Some(ids) = index.get_mut(key) {
        let is_new = ids.insert(id);
        return if is_new { 2 * size_of::<TraceId>() } else { 0 };
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
    fn the_oldest_trace_is_evicted_from_all_indexes() {
        let mut traces = Traces::new(4_000);
        for id in 1..=100 {
            traces.add(vec![span_of(id, &format!("order-{id}"))]);
            assert!(traces.bytes <= traces.max_bytes);
        }
        assert!(traces.get(&trace_id(1)).is_none());
        assert!(traces.get(&trace_id(100)).is_some());
        let stored = traces.by_id.len();
        assert!((1..10).contains(&stored), "{stored}");
        assert_eq!((traces.by_arrival.len(), traces.by_order.len()), (stored, stored));
        assert_eq!(traces.by_service.get("shop").unwrap().len(), stored);
    }

    #[test]
    fn a_trace_with_a_new_span_outlives_a_younger_one() {
        let mut traces = Traces::new(8_000);
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
        let mut traces = Traces::new(4_000);
        traces.add((1..100).map(|id| span(id, 0, "a", 0..1)).collect());
        assert_eq!(
            (traces.bytes, traces.by_id.len(), traces.by_service.len()),
            (0, 0, 0)
        );
    }
}

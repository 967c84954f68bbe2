//! The traces that link to each trace: a link says where it leads, and a reader of the other trace wants to
//! know where it comes from.

use std::collections::{BTreeSet, HashMap};

use foldhash::fast::RandomState;

use crate::ids::TraceId;
use crate::trace::Span;

/// Estimated bytes of an entry.
const ENTRY_BYTES: usize = 160;

/// By the trace that links lead to, the traces that they are in.
#[derive(Debug, Default)]
pub(super) struct Links(HashMap<TraceId, BTreeSet<TraceId>, RandomState>);

impl Links {
    /// Returns an estimate of the bytes that the index grew by.
    pub(super) fn add(&mut self, span: &Span) -> usize {
        let mut bytes = 0;
        for to in others(span) {
            if self.0.entry(to).or_default().insert(span.trace_id) {
                bytes += ENTRY_BYTES;
            }
        }
        bytes
    }

    /// Removes those of an evicted trace.
    pub(super) fn remove(&mut self, spans: &[Span]) {
        for span in spans {
            for to in others(span) {
                if let Some(from) = self.0.get_mut(&to)
                    && from.remove(&span.trace_id)
                    && from.is_empty()
                {
                    self.0.remove(&to);
                }
            }
        }
    }

    /// The traces with links to this one.
    pub(super) fn to(&self, trace: &TraceId) -> impl Iterator<Item = &TraceId> {
        self.0.get(trace).into_iter().flatten()
    }
}

/// The other traces that a span links to.
fn others(span: &Span) -> impl Iterator<Item = TraceId> {
    let traces = span.links.iter().map(|link| link.trace_id);
    traces.filter(|trace| *trace != span.trace_id)
}

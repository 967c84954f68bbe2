//! Two traces side by side. Spans with the same name, service and kind below the same parent belong together,
//! in the order of their start.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};

use crate::trace::{Span, SpanKind};
use crate::tree::Tree;

/// A span of one trace and its counterpart in the other; at least one of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pair<'a> {
    pub(crate) depth: usize,
    pub(crate) a: Option<&'a Span>,
    pub(crate) b: Option<&'a Span>,
}

type Key<'a> = (&'a str, &'a str, SpanKind);
/// A node of each trace.
type Nodes = (Option<usize>, Option<usize>);

/// In the order of a waterfall: a parent, then its children by start time.
pub(crate) fn align<'a>(a: &Tree<'a>, b: &Tree<'a>) -> Vec<Pair<'a>> {
    let (a, b) = (Side::of(a), Side::of(b));
    let mut pairs = Vec::new();
    let mut pending = vec![((Some(TOP), Some(TOP)), 0)];
    while let Some((nodes, depth)) = pending.pop() {
        let (in_a, in_b) = (a.span(nodes.0), b.span(nodes.1));
        if in_a.is_some() || in_b.is_some() {
            pairs.push(Pair {
                depth: depth - 1,
                a: in_a,
                b: in_b,
            });
        }
        let children = children(&a, &b, nodes).into_iter().rev();
        pending.extend(children.map(|nodes| (nodes, depth + 1)));
    }
    pairs
}

/// The node above all roots.
const TOP: usize = 0;

/// The spans of one trace, with the children of each.
struct Side<'a> {
    nodes: Vec<(Option<&'a Span>, Vec<usize>)>,
    start: u64,
}

impl<'a> Side<'a> {
    fn of(tree: &Tree<'a>) -> Self {
        let mut nodes = vec![(None, Vec::new())];
        let mut above = vec![TOP];
        for row in tree.rows() {
            above.truncate(row.depth + 1);
            let index = nodes.len();
            if let Some((_, children)) = above.last().and_then(|parent| nodes.get_mut(*parent)) {
                children.push(index);
            }
            nodes.push((Some(row.span), Vec::new()));
            above.push(index);
        }
        let starts = tree.rows().iter().map(|row| row.span.start_unix_nano);
        Self {
            nodes,
            start: starts.min().unwrap_or_default(),
        }
    }

    fn span(&self, node: Option<usize>) -> Option<&'a Span> {
        self.nodes.get(node?)?.0
    }

    fn children(&self, node: Option<usize>) -> &[usize] {
        let node = node.and_then(|node| self.nodes.get(node));
        node.map_or(&[], |(_, children)| children)
    }

    fn key(&self, node: usize) -> Option<Key<'a>> {
        let span = self.span(Some(node))?;
        Some((&*span.name, &*span.service, span.kind))
    }

    /// The start of a node after that of the trace.
    fn offset(&self, node: Option<usize>) -> Option<u64> {
        Some(self.span(node)?.start_unix_nano.saturating_sub(self.start))
    }
}

fn children(a: &Side<'_>, b: &Side<'_>, (in_a, in_b): Nodes) -> Vec<Nodes> {
    let mut unmatched: HashMap<Option<Key<'_>>, VecDeque<usize>> = HashMap::new();
    for child in b.children(in_b) {
        unmatched.entry(b.key(*child)).or_default().push_back(*child);
    }
    let mut counterpart = |child: usize| unmatched.get_mut(&a.key(child))?.pop_front();
    let mut pairs: Vec<Nodes> = a
        .children(in_a)
        .iter()
        .map(|child| (Some(*child), counterpart(*child)))
        .collect();
    pairs.extend(unmatched.into_values().flatten().map(|child| (None, Some(child))));
    pairs.sort_by_key(|(in_a, in_b)| (a.offset(*in_a).or(b.offset(*in_b)), Reverse(*in_a), *in_b));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{span, trace_id};
    use crate::trace::Trace;

    fn aligned(a: Vec<Span>, b: Vec<Span>) -> Vec<String> {
        let trace = |spans| Trace {
            trace_id: trace_id(1),
            spans,
        };
        let (a, b) = (trace(a), trace(b));
        let name = |span: Option<&Span>| {
            span.map_or("-".to_owned(), |span| {
                format!("{}{}", span.name, span.span_id.as_bytes()[7])
            })
        };
        let line = |pair: &Pair<'_>| format!("{}{} {}", "  ".repeat(pair.depth), name(pair.a), name(pair.b));
        align(&a.tree(), &b.tree()).iter().map(line).collect()
    }

    #[test]
    fn spans_are_aligned_by_name_in_the_order_of_their_start() {
        let a = vec![
            span(1, 0, "GET", 0..100),
            span(2, 1, "SELECT", 10..20),
            span(3, 1, "SELECT", 30..40),
            span(4, 3, "row", 31..32),
            span(5, 1, "render", 50..90),
        ];
        let b = vec![
            span(1, 0, "GET", 500..800),
            span(2, 1, "SELECT", 510..520),
            span(3, 1, "cache", 525..530),
            span(4, 1, "SELECT", 600..640),
            span(5, 1, "SELECT", 650..660),
        ];
        assert_eq!(
            aligned(a, b),
            [
                "GET1 GET1",
                "  SELECT2 SELECT2",
                "  - cache3",
                "  SELECT3 SELECT4",
                "    row4 -",
                "  render5 -",
                "  - SELECT5"
            ]
        );
    }

    #[test]
    fn traces_with_nothing_in_common_and_deep_ones_are_aligned_too() {
        assert_eq!(
            aligned(vec![span(1, 0, "a", 0..1)], vec![span(2, 0, "b", 0..1)]),
            ["a1 -", "- b2"]
        );
        let deep = || {
            (1..20_000)
                .map(|id| span(id, id - 1, "deep", id..id + 1))
                .collect()
        };
        let trace = Trace {
            trace_id: trace_id(1),
            spans: deep(),
        };
        let pairs = align(&trace.tree(), &trace.tree());
        assert_eq!(pairs.len(), 19_999);
        assert!(pairs.iter().all(|pair| pair.a == pair.b));
    }
}

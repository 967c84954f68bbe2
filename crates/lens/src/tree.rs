//! The spans of a trace as a tree, flattened into rows in reading order: a parent, then its children by start
//! time.
//!
//! The terminal, the page and the tests all read a trace through [`Trace::tree`]. It walks without recursion
//! and visits each span once, so a trace of any depth, or one with a cycle of parents, is safe to draw.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use crate::ids::SpanId;
use crate::trace::{Span, Trace};

/// Deeper rows are drawn at this depth, which bounds the length of a line.
const MAX_DRAWN_DEPTH: usize = 32;

/// A trace in reading order.
#[derive(Debug, Clone)]
pub struct Tree<'a> {
    rows: Vec<Row<'a>>,
}

/// A span and its place in the tree.
#[derive(Debug, Clone)]
pub struct Row<'a> {
    pub span: &'a Span,
    /// 0 for a root.
    pub depth: usize,
    /// Drawn as a root although it names a parent, which was not received.
    pub orphan: bool,
    /// Precedes the span's name: `│  ├─ `.
    pub branch: String,
    /// Precedes a further line about the span: `│  │  `.
    pub stem: String,
}

impl Trace {
    /// The spans in reading order.
    #[must_use]
    pub fn tree(&self) -> Tree<'_> {
        Tree::of(&self.spans)
    }
}

impl<'a> Tree<'a> {
    fn of(spans: &'a [Span]) -> Self {
        let mut in_order: Vec<&Span> = spans.iter().collect();
        in_order.sort_by_key(|span| (span.start_unix_nano, Reverse(span.end_unix_nano)));

        let known: HashSet<SpanId> = in_order.iter().map(|span| span.span_id).collect();
        let mut walk = Walk::default();
        let mut roots = Vec::new();
        for span in &in_order {
            match span.parent_span_id.filter(|parent| known.contains(parent)) {
                Some(parent) => walk.children.entry(parent).or_default().push(span),
                None => roots.push(*span),
            }
        }
        for root in roots {
            walk.down_from(root);
        }
        // The remaining spans descend from no root: their parents form a cycle, opened at its earliest span.
        for span in in_order {
            walk.down_from(span);
        }
        Self { rows: walk.rows }
    }

    #[must_use]
    pub fn rows(&self) -> &[Row<'a>] {
        &self.rows
    }

    /// The first span without a parent, else the first span. It names the trace.
    #[must_use]
    pub fn root(&self) -> Option<&'a Span> {
        let rooted = self.rows.iter().find(|row| row.depth == 0 && !row.orphan);
        rooted.or(self.rows.first()).map(|row| row.span)
    }

    /// The services in order of appearance.
    #[must_use]
    pub fn services(&self) -> Vec<&'a str> {
        let mut seen = HashSet::new();
        let services = self.rows.iter().map(|row| &*row.span.service);
        services.filter(|service| seen.insert(*service)).collect()
    }
}

#[derive(Default)]
struct Walk<'a> {
    children: HashMap<SpanId, Vec<&'a Span>>,
    visited: HashSet<SpanId>,
    /// For each level above the current row: whether a sibling follows below.
    open: Vec<bool>,
    rows: Vec<Row<'a>>,
}

impl<'a> Walk<'a> {
    fn down_from(&mut self, root: &'a Span) {
        let mut pending = vec![(root, 0, true)];
        while let Some((span, depth, is_last)) = pending.pop() {
            if !self.visited.insert(span.span_id) {
                continue;
            }
            let mut children = self.children.remove(&span.span_id).unwrap_or_default();
            children.retain(|child| !self.visited.contains(&child.span_id));

            self.open.truncate(depth);
            self.rows.push(Row {
                span,
                depth,
                orphan: depth == 0 && span.parent_span_id.is_some(),
                branch: self.guide(depth, if is_last { "└─ " } else { "├─ " }),
                stem: self.guide(depth, if is_last { "   " } else { "│  " })
                    + if children.is_empty() { "   " } else { "│  " },
            });
            self.open.push(!is_last);

            let last = children.len();
            let children = children.into_iter().enumerate().rev();
            pending.extend(children.map(|(index, child)| (child, depth + 1, index + 1 == last)));
        }
    }

    /// The vertical lines of the levels above `depth`, then `tip`; nothing for a root.
    fn guide(&self, depth: usize, tip: &str) -> String {
        if depth == 0 {
            return String::new();
        }
        let above = self.open.iter().take(MAX_DRAWN_DEPTH).skip(1);
        above
            .map(|open| if *open { "│  " } else { "   " })
            .chain([tip])
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::span;

    fn drawn(spans: &[Span]) -> Vec<String> {
        Tree::of(spans)
            .rows()
            .iter()
            .map(|row| format!("{}{}", row.branch, row.span.name))
            .collect()
    }

    #[test]
    fn children_follow_their_parent_by_start_time() {
        let spans = [
            span(4, 2, "d", 30..40),
            span(3, 1, "c", 50..60),
            span(1, 0, "a", 0..100),
            span(2, 1, "b", 20..45),
        ];
        assert_eq!(drawn(&spans), ["a", "├─ b", "│  └─ d", "└─ c"]);
    }

    #[test]
    fn a_span_whose_parent_was_not_received_is_an_orphan_root() {
        let spans = [span(1, 0, "a", 0..100), span(2, 9, "lost", 10..20)];
        let tree = Tree::of(&spans);
        assert_eq!(
            tree.rows().iter().map(|row| row.orphan).collect::<Vec<_>>(),
            [false, true]
        );
        assert_eq!(drawn(&spans), ["a", "lost"]);
    }

    #[test]
    fn the_root_names_the_trace_even_if_an_orphan_starts_earlier() {
        let spans = [span(2, 9, "lost", 0..20), span(1, 0, "a", 10..100)];
        assert_eq!(Tree::of(&spans).root().unwrap().name, "a");
    }

    #[test]
    fn a_cycle_of_parents_is_drawn_once() {
        let spans = [
            span(1, 2, "a", 0..10),
            span(2, 1, "b", 1..9),
            span(3, 3, "self", 2..3),
        ];
        assert_eq!(drawn(&spans), ["a", "└─ b", "self"]);
    }

    #[test]
    fn a_very_deep_trace_is_drawn_with_bounded_lines() {
        let spans: Vec<Span> = (1..20_000)
            .map(|id| span(id, id - 1, "deep", id..id + 1))
            .collect();
        let tree = Tree::of(&spans);
        let last = tree.rows().last().unwrap();
        assert_eq!((tree.rows().len(), last.depth), (19_999, 19_998));
        assert!(last.branch.chars().count() <= MAX_DRAWN_DEPTH * 3);
    }
}

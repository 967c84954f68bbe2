//! The spans of a trace as nodes, and how the time of each is divided among its children and itself.

use std::cmp::Reverse;

use super::wait::{Segment, Wait, own_wait};
use crate::trace::{Span, SpanKind};
use crate::tree::Tree;

/// A span and its place in the tree.
struct Node<'a> {
    /// `None` above all roots.
    span: Option<&'a Span>,
    parent: usize,
    /// What the trace waits for while it waits for this span itself.
    wait: Wait<'a>,
    /// The end of the span or of its last descendant.
    end: u64,
    /// The child that ends last is the first.
    children: Vec<usize>,
}

pub(super) struct Nodes<'a>(Vec<Node<'a>>);

/// The node above all roots.
pub(super) const TOP: usize = 0;

/// A part of the time of a node.
pub(super) enum Piece<'a> {
    Own(Segment<'a>),
    Child { node: usize, from: u64, until: u64 },
}

impl<'a> Nodes<'a> {
    pub(super) fn of(tree: &Tree<'a>) -> Self {
        let mut nodes = Self(vec![Node::above_all()]);
        // The nodes from the top to the current row.
        let mut above = vec![TOP];
        for row in tree.rows() {
            above.truncate(row.depth + 1);
            above.push(nodes.add(row.span, above.last().copied().unwrap_or(TOP)));
        }
        nodes.find_ends();
        nodes
    }

    fn add(&mut self, span: &'a Span, parent: usize) -> usize {
        let index = self.0.len();
        let mut wait = own_wait(span);
        if let Some(above) = self.0.get_mut(parent) {
            above.children.push(index);
            if let Some(caller) = above.span
                && wait == Wait::OwnCode
                && span.kind != SpanKind::Consumer
            {
                if span.kind == SpanKind::Server && caller.service != span.service {
                    wait = Wait::Service(&span.service);
                    if matches!(above.wait, Wait::Service(_)) {
                        above.wait = wait;
                    }
                } else if caller.kind != SpanKind::Client && caller.service == span.service {
                    // The same code as above: of a called service, or of the traced ones.
                    wait = above.wait_of_code();
                }
            }
        }
        self.0.push(Node {
            span: Some(span),
            parent,
            wait,
            end: span.end_unix_nano,
            children: Vec::new(),
        });
        index
    }

    fn find_ends(&mut self) {
        let ends: &mut Vec<Node<'a>> = &mut self.0;
        // Children follow their parents.
        for index in (1..ends.len()).rev() {
            let Some((end, parent)) = ends.get(index).map(|node| (node.end, node.parent)) else {
                continue;
            };
            if let Some(parent) = ends.get_mut(parent) {
                parent.end = parent.end.max(end);
            }
        }
        let ends: Vec<u64> = self.0.iter().map(|node| node.end).collect();
        for node in &mut self.0 {
            let end = |child: &usize| Reverse(ends.get(*child).copied());
            node.children.sort_by_key(end);
        }
    }

    /// Pushes what happened in a node, the latest first.
    pub(super) fn split(&self, node: usize, from: u64, until: u64, pieces: &mut Vec<Piece<'a>>) {
        let Some(node) = self.0.get(node) else { return };
        let mut cursor = until;
        let mut next = None;
        for index in &node.children {
            let Some((child, span)) = self.0.get(*index).and_then(|child| Some((child, child.span?))) else {
                continue;
            };
            let start = span.start_unix_nano.max(from);
            let end = child.end.min(cursor);
            if start >= end {
                continue;
            }
            node.own_time(end, cursor, next, pieces);
            pieces.push(Piece::Child {
                node: *index,
                from: start,
                until: end,
            });
            (cursor, next) = (start, Some(span));
        }
        node.own_time(from, cursor, next, pieces);
    }

    pub(super) fn start(&self) -> u64 {
        let starts = self.0.iter().filter_map(|node| node.span);
        starts.map(|span| span.start_unix_nano).min().unwrap_or_default()
    }

    pub(super) fn end(&self) -> u64 {
        self.0.first().map_or(0, |top| top.end)
    }
}

impl<'a> Node<'a> {
    fn above_all() -> Self {
        Self {
            span: None,
            parent: TOP,
            wait: Wait::Unrecorded,
            end: 0,
            children: Vec::new(),
        }
    }

    /// What the trace waits for in code below this span, of the same service.
    fn wait_of_code(&self) -> Wait<'a> {
        match self.wait {
            Wait::Service(name) => Wait::Service(name),
            _ => Wait::OwnCode,
        }
    }

    /// Pushes the time in which no child ran: of the span itself, then after its end. `next` is the child
    /// that starts afterwards.
    fn own_time(&self, from: u64, until: u64, next: Option<&Span>, pieces: &mut Vec<Piece<'a>>) {
        let end = self
            .span
            .map_or(from, |span| span.end_unix_nano)
            .clamp(from, until.max(from));
        let of_message = |span: Option<&Span>, kind| span.is_some_and(|span| span.kind == kind);
        if end < until {
            let is_queued = of_message(next, SpanKind::Consumer) || of_message(self.span, SpanKind::Producer);
            pieces.push(Piece::Own(Segment {
                span: None,
                wait: if is_queued { Wait::Queue } else { Wait::Unrecorded },
                start_unix_nano: end,
                end_unix_nano: until,
            }));
        }
        if from < end {
            pieces.push(Piece::Own(Segment {
                span: self.span,
                wait: self.wait,
                start_unix_nano: from,
                end_unix_nano: end,
            }));
        }
    }
}

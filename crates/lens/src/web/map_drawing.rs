//! The drawing of the map: callers are left of what they call.

use std::cmp::Reverse;
use std::collections::HashSet;

use super::map_links::{kind_words, traces_between, traces_of};
use super::palette::Palette;
use crate::map::{MapEdge, MapNode, NodeKind, ServiceMap};

/// The distances and sizes of nodes, in SVG units.
const COLUMN: usize = 340;
const ROW: usize = 96;
const WIDTH: usize = 180;
const HEIGHT: usize = 58;
const MARGIN: usize = 12;
/// How far the calls to a distant column bend below the nodes between.
const DIP: usize = 34;
/// A longer chain of calls ends in the last column.
const MAX_COLUMNS: usize = 8;
/// Longer names are cut.
const MAX_NAME: usize = 24;

#[derive(Debug)]
pub(super) struct Drawing {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
}

#[derive(Debug)]
pub(super) struct Node {
    pub(super) x: usize,
    pub(super) y: usize,
    pub(super) name: String,
    pub(super) title: String,
    pub(super) kind: &'static str,
    pub(super) colour: &'static str,
    pub(super) calls: String,
    pub(super) has_failed: bool,
    pub(super) address: String,
}

#[derive(Debug)]
pub(super) struct Edge {
    pub(super) path: String,
    pub(super) x: usize,
    pub(super) y: usize,
    /// Its lowest point is not below.
    bottom: usize,
    pub(super) calls: String,
    /// Empty if no call failed.
    pub(super) errors: String,
    pub(super) title: String,
    pub(super) address: String,
}

impl Drawing {
    pub(super) fn of(map: &ServiceMap, palette: &Palette) -> Self {
        let columns = columns(map);
        let mut rows = [0; MAX_COLUMNS];
        let mut nodes: Vec<Node> = Vec::new();
        for (node, column) in map.nodes.iter().zip(&columns) {
            let row = rows.get_mut(*column).map_or(0, |next| {
                *next += 1;
                *next - 1
            });
            nodes.push(Node::at(
                MARGIN + column * COLUMN,
                MARGIN + row * ROW,
                node,
                palette,
            ));
        }
        let edge = |edge: &MapEdge| Edge::of(edge, map, nodes.get(edge.from)?, nodes.get(edge.to)?);
        let edges: Vec<Edge> = map.edges.iter().filter_map(edge).collect();
        let last_column = columns.iter().max().copied().unwrap_or_default();
        let bottoms = nodes.iter().map(|node| node.y + HEIGHT);
        let bottom = bottoms.chain(edges.iter().map(|edge| edge.bottom)).max();
        Self {
            width: last_column * COLUMN + WIDTH + 2 * MARGIN,
            height: bottom.unwrap_or_default() + MARGIN,
            nodes,
            edges,
        }
    }
}

/// The column of each node: one right of its rightmost caller. Rare calls that would close a circle do not
/// count.
fn columns(map: &ServiceMap) -> Vec<usize> {
    let mut edges: Vec<&MapEdge> = map.edges.iter().collect();
    edges.sort_by_key(|edge| Reverse(edge.calls.count));
    let mut forward = Vec::new();
    for edge in edges {
        if !reaches(&forward, edge.to, edge.from) {
            forward.push((edge.from, edge.to));
        }
    }
    let mut columns = vec![0; map.nodes.len()];
    for _ in 1..MAX_COLUMNS {
        for (from, to) in &forward {
            let from = columns.get(*from).copied().unwrap_or_default();
            if let Some(to) = columns.get_mut(*to) {
                *to = (*to).max(from + 1).min(MAX_COLUMNS - 1);
            }
        }
    }
    columns
}

/// Whether a path of edges leads from `start` to `goal`.
fn reaches(edges: &[(usize, usize)], start: usize, goal: usize) -> bool {
    let mut visited = HashSet::new();
    let mut pending = vec![start];
    while let Some(node) = pending.pop() {
        if node == goal {
            return true;
        }
        if visited.insert(node) {
            pending.extend(edges.iter().filter(|(from, _)| *from == node).map(|(_, to)| *to));
        }
    }
    false
}

impl Node {
    fn at(x: usize, y: usize, node: &MapNode, palette: &Palette) -> Self {
        let name: String = node.name.chars().take(MAX_NAME).collect();
        let is_cut = node.name.chars().count() > MAX_NAME;
        Self {
            x,
            y,
            name: if is_cut { format!("{name}…") } else { name },
            title: node.name.clone(),
            kind: kind_words(node.kind),
            colour: match node.kind {
                NodeKind::Service => palette.class(&node.name),
                NodeKind::Store => "c-store",
                NodeKind::Queue | NodeKind::Host => "c-queue",
            },
            calls: ui::rate(node.calls.per_second),
            has_failed: node.calls.errors > 0,
            address: traces_of(node),
        }
    }
}

impl Edge {
    /// `None` for calls of a service to itself.
    fn of(edge: &MapEdge, map: &ServiceMap, from: &Node, to: &Node) -> Option<Self> {
        if edge.from == edge.to {
            return None;
        }
        let curve = curve(from, to);
        let [start, after_start, before_end, end] = curve;
        let (x, y) = middle(curve);
        let (caller, called) = (map.nodes.get(edge.from)?, map.nodes.get(edge.to)?);
        let p99 = edge.calls.p99.map(ui::duration).unwrap_or_default();
        let failed = edge.calls.errors > 0;
        Some(Self {
            path: format!(
                "M{},{}C{},{} {},{} {},{}",
                start.0, start.1, after_start.0, after_start.1, before_end.0, before_end.1, end.0, end.1
            ),
            x,
            y,
            bottom: curve.map(|(_, y)| y).into_iter().max().unwrap_or_default(),
            calls: format!("{} · p99 {p99}", ui::rate(edge.calls.per_second)),
            errors: if failed {
                format!("{} failed", edge.calls.errors)
            } else {
                String::new()
            },
            title: format!("Traces with calls of {} to {}", caller.name, called.name),
            address: traces_between(caller, called, failed),
        })
    }
}

/// The middle of a cubic curve.
fn middle(points: [(usize, usize); 4]) -> (usize, usize) {
    let at = |coordinate: fn(&(usize, usize)) -> usize| {
        let weighted = points.iter().zip([1, 3, 3, 1]);
        weighted
            .map(|(point, weight)| coordinate(point) * weight)
            .sum::<usize>()
            / 8
    };
    (at(|point| point.0), at(|point| point.1))
}

/// Start, two control points and end. Calls to the right are straight, beyond the next column below the nodes
/// between; calls back are below.
fn curve(from: &Node, to: &Node) -> [(usize, usize); 4] {
    const BEND: usize = 60;
    let below = |node: &Node| (node.x + WIDTH / 2, node.y + HEIGHT);
    if to.x <= from.x {
        let (start, end) = (below(from), below(to));
        return [start, (start.0, start.1 + DIP), (end.0, end.1 + DIP), end];
    }
    let end = (to.x, to.y + HEIGHT / 2);
    let before_end = (end.0.saturating_sub(BEND), end.1);
    if to.x > from.x + COLUMN {
        let start = below(from);
        return [start, (start.0, end.1.max(start.1 + DIP)), before_end, end];
    }
    let start = (from.x + WIDTH, from.y + HEIGHT / 2);
    [start, (start.0 + BEND, start.1), before_end, end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map::Calls;

    #[test]
    fn callers_are_left_of_what_they_call_also_in_a_circle() {
        let node = |kind, name: &str| MapNode {
            kind,
            name: name.to_owned(),
            calls: Calls::default(),
        };
        let edge = |from, to, count| MapEdge {
            from,
            to,
            calls: Calls {
                count,
                ..Calls::default()
            },
        };
        let map = ServiceMap {
            nodes: vec![
                node(NodeKind::Service, "api"),
                node(NodeKind::Service, "worker"),
                node(NodeKind::Store, "PostgreSQL"),
                node(NodeKind::Queue, "orders"),
            ],
            // The worker sends a few messages again.
            edges: vec![
                edge(0, 2, 9),
                edge(0, 3, 9),
                edge(1, 2, 9),
                edge(1, 3, 1),
                edge(3, 1, 9),
                edge(1, 1, 5),
            ],
            duration: std::time::Duration::from_secs(1),
            partial: false,
        };
        assert_eq!(columns(&map), [0, 2, 3, 1]);
    }
}

//! The drawing of the map: callers are left of what they call.

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
/// A longer chain of calls, or one that returns to its start, ends in the last column.
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
        let edges = map.edges.iter().filter_map(edge).collect();
        let last_column = columns.iter().max().copied().unwrap_or_default();
        let most_rows = rows.iter().max().copied().unwrap_or_default().max(1);
        Self {
            width: last_column * COLUMN + WIDTH + 2 * MARGIN,
            height: (most_rows - 1) * ROW + HEIGHT + MARGIN + DIP,
            nodes,
            edges,
        }
    }
}

/// The column of each node: one right of its rightmost caller.
fn columns(map: &ServiceMap) -> Vec<usize> {
    let mut columns = vec![0; map.nodes.len()];
    for _ in 1..MAX_COLUMNS {
        for edge in map.edges.iter().filter(|edge| edge.from != edge.to) {
            let from = columns.get(edge.from).copied().unwrap_or_default();
            if let Some(to) = columns.get_mut(edge.to) {
                *to = (*to).max(from + 1).min(MAX_COLUMNS - 1);
            }
        }
    }
    // Circles leave columns empty.
    let mut used: Vec<usize> = columns.clone();
    used.sort_unstable();
    used.dedup();
    let place = |column: &usize| used.binary_search(column).unwrap_or_default();
    columns.iter().map(place).collect()
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
        let end = (to.x, to.y + HEIGHT / 2);
        let bend = 60;
        let before_end = (end.0.saturating_sub(bend), end.1);
        let [start, after_start] = if to.x > from.x + COLUMN {
            let (x, bottom) = (from.x + WIDTH / 2, from.y + HEIGHT);
            [(x, bottom), (x, end.1.max(bottom + DIP))]
        } else {
            let (x, y) = (from.x + WIDTH, from.y + HEIGHT / 2);
            [(x, y), (x + bend, y)]
        };
        let (x, y) = middle([start, after_start, before_end, end]);
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

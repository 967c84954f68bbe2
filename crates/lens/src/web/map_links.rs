//! Where the nodes and the calls of the map lead.

use super::address::address;
use crate::map::{MapNode, NodeKind};
use crate::query::Query;
use crate::systems;

pub(super) fn kind_words(kind: NodeKind) -> &'static str {
    match kind {
        NodeKind::Service => "service",
        NodeKind::Store => "store",
        NodeKind::Queue => "queue",
        NodeKind::Host => "other host",
    }
}

/// The traces with a span of this node.
pub(super) fn traces_of(node: &MapNode) -> String {
    let word = match node.kind {
        NodeKind::Service => Query::word("service", &node.name),
        NodeKind::Store => Query::word("db.system.name", systems::received(&node.name)),
        NodeKind::Queue => Query::word("messaging.destination.name", &node.name),
        NodeKind::Host => Query::word("server.address", &node.name),
    };
    address("/", &[("q", &word)])
}

/// The traces with such calls; with those that failed alone.
pub(super) fn traces_between(from: &MapNode, to: &MapNode, failed: bool) -> String {
    let caller = Query::word("service", &from.name);
    let called = Query::word("service", &to.name);
    let error = if failed { " error" } else { "" };
    let q = match to.kind {
        NodeKind::Service if from.kind == NodeKind::Queue => format!("{{ {called} kind=consumer{error} }}"),
        NodeKind::Service => format!("{caller} {{ {called}{error} }}"),
        NodeKind::Store => {
            let system = Query::word("db.system.name", systems::received(&to.name));
            format!("{{ {caller} {system}{error} }}")
        }
        NodeKind::Queue => format!("{{ {caller} kind=producer{error} }}"),
        NodeKind::Host => {
            let host = Query::word("server.address", &to.name);
            format!("{{ {caller} {host}{error} }}")
        }
    };
    address("/", &[("q", &q)])
}

//! What a span says about the system that it calls: a database, or a host.

use crate::trace::Span;

/// Names as their makers write them, by `db.system.name` of the semantic conventions.
const NAMES: [(&str, &str); 9] = [
    ("postgresql", "PostgreSQL"),
    ("redis", "Redis"),
    ("mysql", "MySQL"),
    ("mariadb", "MariaDB"),
    ("mongodb", "MongoDB"),
    ("sqlite", "SQLite"),
    ("memcached", "Memcached"),
    ("elasticsearch", "Elasticsearch"),
    ("microsoft.sql_server", "SQL Server"),
];

/// The database or cache that the span calls. An unknown one has the name that was received.
pub(crate) fn store(span: &Span) -> Option<&str> {
    let get = |key| span.attributes.get_str(key);
    // Its name before version 1.30 of the conventions.
    let received = get("db.system.name").or_else(|| get("db.system"))?;
    let known = NAMES.iter().find(|(name, _)| *name == received);
    Some(known.map_or(received, |(_, name)| name))
}

/// The service or host that a client's span calls.
pub(crate) fn host(span: &Span) -> Option<&str> {
    let get = |key| span.attributes.get_str(key);
    get("peer.service").or_else(|| get("server.address"))
}

/// `db.system.name` of a store that has this name.
pub(crate) fn received(store: &str) -> &str {
    let known = NAMES.iter().find(|(_, name)| *name == store);
    known.map_or(store, |(received, _)| received)
}

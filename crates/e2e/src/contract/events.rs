//! The events: log records that have a name.

/// A row of events.
#[derive(Debug)]
pub(super) struct EventRow {
    pub(super) name: &'static str,
    /// When it happens, as docs/telemetry.md says it.
    pub(super) brief: &'static str,
    /// The attributes that each record of it has.
    pub(super) attributes: &'static [&'static str],
    /// The run does not show it.
    pub(super) is_rare: bool,
}

const fn event(name: &'static str, brief: &'static str, attributes: &'static [&'static str]) -> EventRow {
    EventRow {
        name,
        brief,
        attributes,
        is_rare: false,
    }
}

/// A start without authentication, and an issuer that is unavailable for a day.
const fn rare(name: &'static str, brief: &'static str) -> EventRow {
    EventRow {
        name,
        brief,
        attributes: &[],
        is_rare: true,
    }
}

const OF_ORDER: &[&str] = &["order.id", "order.actor"];
const OF_OPERATION: &[&str] = &["order.operation.id", "order.operation.kind", "order.actor"];

pub(super) const ROWS: &[EventRow] = &[
    rare("auth.disabled", "the api starts without authentication"),
    event(
        "auth.failed",
        "a request is refused: no token, an invalid one, or one without the scope",
        &["error.type", "client.address"],
    ),
    rare(
        "auth.keys_expired",
        "the issuer was unavailable for 24 hours, and no token is accepted until it is available",
    ),
    event("order.cancelled", "an order is cancelled", OF_ORDER),
    event(
        "console.session_started",
        "an operator signs in to the console",
        &["order.actor"],
    ),
    event("order.retried", "an operator sends a failed order back", OF_ORDER),
    event(
        "operation.started",
        "an operator retries or cancels all orders of a filter",
        OF_OPERATION,
    ),
    event(
        "operation.finished",
        "a worker has changed all of them",
        OF_OPERATION,
    ),
    event("queue.paused", "an operator pauses the queue", &["order.actor"]),
    event("queue.resumed", "an operator resumes it", &["order.actor"]),
];

pub(super) fn row_of(name: &str) -> Option<&'static EventRow> {
    ROWS.iter().find(|row| row.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_event_is_documented() {
        let docs = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/telemetry.md");
        let docs = std::fs::read_to_string(docs).unwrap();
        for row in ROWS {
            let start = format!("| `{}` | ", row.name);
            let line = docs.lines().find(|line| line.starts_with(&start));
            let when = line.and_then(|line| line.split(" | ").nth(2));
            assert_eq!(when, Some(row.brief), "{}", row.name);
        }
    }
}

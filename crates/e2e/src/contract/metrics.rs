//! The rows of metrics.

use lens::{Metric, MetricKind};

use super::spans::{DATABASE, HTTP_CLIENT, HTTP_SERVER, PROCESS, SEND};

/// The instrument of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Counter,
    UpDown,
    Gauge,
    Histogram(&'static [f64]),
}

/// A row of metrics.
#[derive(Debug)]
pub(super) struct MetricRow {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) kind: Kind,
    /// What it measures: the description that it is exported with. `None` if it is one of the conventions.
    pub(super) brief: Option<&'static str>,
    /// The attributes that each point has.
    pub(super) always: &'static [&'static str],
    /// The attributes that a point may have as well.
    pub(super) allowed: &'static [&'static str],
}

const DURATION: Kind = Kind::Histogram(&[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
]);
const DB_DURATION: Kind = Kind::Histogram(&[0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0]);
const PROCESSING: Kind = Kind::Histogram(&[
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
]);

const MESSAGING: &[&str] = &[
    "messaging.destination.name",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.system",
];
const SENDING: &[&str] = &[
    "messaging.destination.name",
    "messaging.operation.name",
    "messaging.operation.type",
    "messaging.system",
    "server.address",
    "server.port",
];
const POOL: &[&str] = &["db.client.connection.pool.name"];

const fn row(
    name: &'static str,
    unit: &'static str,
    kind: Kind,
    always: &'static [&'static str],
    allowed: &'static [&'static str],
) -> MetricRow {
    MetricRow {
        name,
        unit,
        kind,
        brief: None,
        always,
        allowed,
    }
}

/// A metric that is in no convention.
const fn own(
    name: &'static str,
    unit: &'static str,
    kind: Kind,
    attributes: &'static [&'static str],
    brief: &'static str,
) -> MetricRow {
    MetricRow {
        brief: Some(brief),
        ..row(name, unit, kind, attributes, &[])
    }
}

pub(super) const ROWS: &[MetricRow] = &[
    row(
        HTTP_SERVER,
        "s",
        DURATION,
        &["http.request.method", "network.protocol.version", "url.scheme"],
        &[
            "error.type",
            "http.response.status_code",
            "http.route",
            "network.protocol.name",
        ],
    ),
    row(
        HTTP_CLIENT,
        "s",
        DURATION,
        &["http.request.method", "server.address", "server.port"],
        &[
            "error.type",
            "http.response.status_code",
            "network.protocol.version",
        ],
    ),
    row(SEND, "s", DURATION, SENDING, &["error.type"]),
    row(PROCESS, "s", DURATION, MESSAGING, &["error.type"]),
    row(
        "messaging.client.sent.messages",
        "{message}",
        Kind::Counter,
        SENDING,
        &["error.type"],
    ),
    row(
        "messaging.client.consumed.messages",
        "{message}",
        Kind::Counter,
        MESSAGING,
        &["error.type"],
    ),
    row(
        DATABASE,
        "s",
        DB_DURATION,
        &[
            "db.namespace",
            "db.operation.name",
            "db.system.name",
            "server.address",
            "server.port",
        ],
        &["db.collection.name", "db.response.status_code", "error.type"],
    ),
    row(
        "db.client.connection.count",
        "{connection}",
        Kind::UpDown,
        &["db.client.connection.pool.name", "db.client.connection.state"],
        &[],
    ),
    row(
        "db.client.connection.max",
        "{connection}",
        Kind::UpDown,
        POOL,
        &[],
    ),
    row(
        "db.client.connection.pending_requests",
        "{request}",
        Kind::UpDown,
        POOL,
        &[],
    ),
    row("db.client.connection.wait_time", "s", DB_DURATION, POOL, &[]),
    row(
        "db.client.connection.timeouts",
        "{timeout}",
        Kind::Counter,
        POOL,
        &[],
    ),
    own("queue.depth", "{message}", Kind::Gauge, &[], "Jobs that wait."),
    own(
        "queue.in_flight",
        "{message}",
        Kind::Gauge,
        &[],
        "Jobs that a worker has and did not finish yet.",
    ),
    own(
        "queue.oldest_age",
        "s",
        Kind::Gauge,
        &[],
        "Age of the oldest job in Redis, or lag of the oldest due order in PostgreSQL that has none.",
    ),
    own(
        "queue.reconciled",
        "{message}",
        Kind::Counter,
        &["queue.reason"],
        "Jobs that were dispatched again because their orders fell due.",
    ),
    own("orders.created", "{order}", Kind::Counter, &[], "Orders created."),
    own(
        "orders.completed",
        "{order}",
        Kind::Counter,
        &[],
        "Orders that were completed.",
    ),
    own(
        "orders.failed",
        "{order}",
        Kind::Counter,
        &["order.failure.code"],
        "Orders that failed for good.",
    ),
    own(
        "orders.cancelled",
        "{order}",
        Kind::Counter,
        &[],
        "Orders that were cancelled.",
    ),
    own(
        "orders.unfinished.age",
        "s",
        Kind::Gauge,
        &[],
        "Age of the oldest order that is not final, in PostgreSQL.",
    ),
    own(
        "orders.waiting",
        "{order}",
        Kind::Gauge,
        &["order.waiting.reason"],
        "Pending orders, by what they wait for. At 100,000 in all: at least that many.",
    ),
    own(
        "orders.unreadable",
        "{order}",
        Kind::Counter,
        &[],
        "Orders that were left for another version of the program, which can read them.",
    ),
    own(
        "orders.processing.duration",
        "s",
        PROCESSING,
        &[],
        "From an order's creation to its final state.",
    ),
    own(
        "payment.gateway.available",
        "1",
        Kind::Gauge,
        &[],
        "1 if orders are charged, 0 while the circuit breaker is open.",
    ),
    own(
        "payment.gateway.rate",
        "{request}/s",
        Kind::Gauge,
        &[],
        "Requests to the payment gateway that this worker allows itself; absent while unlimited.",
    ),
    own(
        "telemetry.spans.dropped",
        "{span}",
        Kind::Counter,
        &[],
        "Spans that did not reach the collector.",
    ),
    own(
        "telemetry.logs.dropped",
        "{log_record}",
        Kind::Counter,
        &[],
        "Log records that did not reach the collector.",
    ),
    row("process.cpu.time", "s", Kind::Counter, &["cpu.mode"], &[]),
    row("process.memory.usage", "By", Kind::UpDown, &[], &[]),
    row("process.thread.count", "{thread}", Kind::UpDown, &[], &[]),
    row(
        "process.open_file_descriptor.count",
        "{file_descriptor}",
        Kind::UpDown,
        &[],
        &[],
    ),
    own(
        "tokio.workers",
        "{thread}",
        Kind::UpDown,
        &[],
        "Worker threads of the runtimes.",
    ),
    own(
        "tokio.tasks",
        "{task}",
        Kind::UpDown,
        &[],
        "Tasks that have not ended.",
    ),
    own(
        "tokio.queue.depth",
        "{task}",
        Kind::UpDown,
        &[],
        "Tasks that wait in the runtimes' shared queues.",
    ),
];

/// Values of a metric's attribute. A run must show each of them.
pub(super) const VALUES: &[(&str, &str, &[&str])] = &[
    (
        "queue.reconciled",
        "queue.reason",
        &["lost", "lease_expired", "retry"],
    ),
    (
        "orders.waiting",
        "order.waiting.reason",
        &["gateway", "backoff", "dispatch", "paused"],
    ),
    (
        "db.client.connection.count",
        "db.client.connection.state",
        &["idle", "used"],
    ),
    ("process.cpu.time", "cpu.mode", &["user", "system"]),
];

pub(super) fn row_of(metric: &Metric) -> Option<&'static MetricRow> {
    ROWS.iter().find(|row| row.name == metric.name)
}

impl Kind {
    /// Whether the metric is of this kind. The buckets are in its points.
    pub(super) fn fits(self, metric: &Metric) -> bool {
        match self {
            Self::Counter => metric.kind == MetricKind::Sum && metric.monotonic,
            Self::UpDown => metric.kind == MetricKind::Sum && !metric.monotonic,
            Self::Gauge => metric.kind == MetricKind::Gauge,
            Self::Histogram(_) => metric.kind == MetricKind::Histogram,
        }
    }
}

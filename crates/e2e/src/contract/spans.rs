//! The rows of spans.

use lens::{Span, SpanKind};

use super::applies::{ERRORS, FAILURES, error, has_response, has_unknown_method, sqlstate};
use super::attributes::{Attribute, FAILED, Presence, Type, always, attribute, once};

use Presence::Where;
use Type::{Int, Text};

/// A row of spans.
#[derive(Debug)]
pub(super) struct SpanRow {
    pub(super) title: &'static str,
    /// What it is, and how it is named.
    pub(super) brief: &'static str,
    pub(super) kind: SpanKind,
    /// Whether a span of this kind belongs to this row.
    is_one: fn(&Span) -> bool,
    /// The name that it must have.
    pub(super) name: fn(&Span) -> Option<String>,
    pub(super) attributes: &'static [Attribute],
    /// Its values of error.type, besides the status code of an HTTP response.
    errors: &'static [&'static [&'static str]],
    /// The metric that measures the same.
    pub(super) metric: Option<&'static str>,
}

impl SpanRow {
    pub(super) fn errors(&self) -> impl Iterator<Item = &'static str> {
        self.errors.iter().copied().flatten().copied()
    }
}

const RESPONDED: Presence = Where("If there is a response.", has_response);

pub(super) const HTTP_SERVER: &str = "http.server.request.duration";
pub(super) const HTTP_CLIENT: &str = "http.client.request.duration";
pub(super) const DATABASE: &str = "db.client.operation.duration";
pub(super) const SEND: &str = "messaging.client.operation.duration";
pub(super) const PROCESS: &str = "messaging.process.duration";

/// The product's own steps.
pub(super) const STEPS: &[&str] = &[
    "create_order",
    "process_payment",
    "reconcile_orders",
    "execute_operation",
    "render confirmation.html",
    "render error.html",
    "render failures.html",
    "render operation.html",
    "render operations.html",
    "render order.html",
    "render orders.html",
    "render overview.html",
    "render queue.html",
    "render sign_in.html",
    "validate_high_value_order",
    "validate_payment_method",
];

pub(super) const ROWS: &[SpanRow] = &[
    SpanRow {
        title: "HTTP server",
        brief: "A request, from its head to the last byte of its response: `{http.request.method} {http.route}`.",
        kind: SpanKind::Server,
        is_one: |_| true,
        name: |span| {
            let method = method(span)?;
            Some(match span.attributes.get_str("http.route") {
                Some(route) => format!("{method} {route}"),
                None => method.to_owned(),
            })
        },
        attributes: &[
            always("http.request.method", Text),
            always("url.path", Text),
            always("url.scheme", Text),
            attribute("error.type", Text, FAILED),
            attribute("http.response.status_code", Int, RESPONDED),
            // `endpoints` checks its presence and value.
            once("http.route", Text),
            once("url.query", Text),
            always("server.port", Int),
            always("network.protocol.name", Text),
            attribute(
                "http.request.method_original",
                Text,
                Where("If the method is not a known one.", has_unknown_method),
            ),
            always("client.address", Text),
            always("network.peer.address", Text),
            always("network.peer.port", Int),
            always("network.protocol.version", Text),
            always("server.address", Text),
            once("user_agent.original", Text),
        ],
        errors: &[&["body", CANCELLED, PANIC]],
        metric: Some(HTTP_SERVER),
    },
    SpanRow {
        title: "HTTP client",
        brief: "A call of another service, to the head of its response: `{http.request.method}`.",
        kind: SpanKind::Client,
        is_one: |span| !is_database(span),
        name: |span| method(span).map(str::to_owned),
        attributes: &[
            always("http.request.method", Text),
            always("server.address", Text),
            always("server.port", Int),
            always("url.full", Text),
            attribute("error.type", Text, FAILED),
            attribute("http.response.status_code", Int, RESPONDED),
            // `traces` checks its presence and value.
            once("http.request.resend_count", Int),
            attribute("network.protocol.version", Text, RESPONDED),
        ],
        errors: &[&[
            "body", CANCELLED, "connect", PANIC, "redirect", "request", "timeout",
        ]],
        metric: Some(HTTP_CLIENT),
    },
    SpanRow {
        title: "PostgreSQL",
        brief: "A statement: `{db.operation.name} {db.collection.name}`.",
        kind: SpanKind::Client,
        is_one: |span| is_database(span) && !is_redis(span),
        name: |span| Some(span.attributes.get_str("db.query.summary")?.to_owned()),
        attributes: &[
            always("db.system.name", Text),
            always("db.query.summary", Text),
            always("db.namespace", Text),
            attribute(
                "db.response.status_code",
                Text,
                Where("If `error.type` stands for an SQLSTATE.", |span| {
                    sqlstate(span).is_some()
                }),
            ),
            attribute("error.type", Text, FAILED),
            always("server.port", Int),
            always("db.query.text", Text),
            always("db.operation.name", Text),
            always("db.collection.name", Text),
            once("db.operation.batch.size", Int),
            always("server.address", Text),
        ],
        errors: &[&[
            CANCELLED,
            "check_violation",
            "connection_closed",
            "connection_failed",
            "database_error",
            "decode",
            "encode",
            "exclusion_violation",
            "foreign_key_violation",
            "not_null_violation",
            "other",
            PANIC,
            "read_only_transaction",
            "serialization_failure",
            "timeout",
            "unique_violation",
        ]],
        metric: Some(DATABASE),
    },
    SpanRow {
        title: "Redis as a cache",
        brief: "A command: `{db.operation.name}`.",
        kind: SpanKind::Client,
        is_one: is_redis,
        name: |span| Some(span.attributes.get_str("db.operation.name")?.to_owned()),
        attributes: &[
            always("db.operation.name", Text),
            always("db.system.name", Text),
            always("db.namespace", Text),
            attribute("error.type", Text, FAILED),
            attribute(
                "db.response.status_code",
                Text,
                Where("If Redis rejected the command.", |span| {
                    error(span) == Some("server")
                }),
            ),
            always("server.port", Int),
            always("db.query.text", Text),
            always("server.address", Text),
        ],
        errors: &[&[
            CANCELLED,
            "client",
            "connection",
            "io",
            PANIC,
            "server",
            "timeout",
        ]],
        metric: Some(DATABASE),
    },
    SpanRow {
        title: "send",
        brief: "A job is put into the queue: `send {messaging.destination.name}`.",
        kind: SpanKind::Producer,
        is_one: |_| true,
        name: |span| destination(span).map(|queue| format!("send {queue}")),
        attributes: &[
            always("messaging.operation.name", Text),
            always("messaging.operation.type", Text),
            always("messaging.system", Text),
            always("messaging.destination.name", Text),
            attribute("error.type", Text, FAILED),
            always("messaging.message.id", Text),
            always("server.address", Text),
            always("server.port", Int),
        ],
        errors: &[&[CANCELLED, "invalid_job", PANIC, "queue_full", "redis", "timeout"]],
        metric: Some(SEND),
    },
    SpanRow {
        title: "process",
        brief: "An attempt at a job: `process {messaging.destination.name}`.",
        kind: SpanKind::Consumer,
        is_one: |_| true,
        name: |span| destination(span).map(|queue| format!("process {queue}")),
        attributes: &[
            always("messaging.operation.name", Text),
            always("messaging.operation.type", Text),
            always("messaging.system", Text),
            always("messaging.destination.name", Text),
            attribute("error.type", Text, FAILED),
            always("messaging.message.id", Text),
            always("messaging.client.id", Text),
            always("queue.attempt", Int),
            always("queue.wait_ms", Int),
        ],
        errors: OUTCOMES,
        metric: Some(PROCESS),
    },
    SpanRow {
        title: "step",
        brief: "A step of the product, by one of these names: {steps}.",
        kind: SpanKind::Internal,
        is_one: |_| true,
        name: |span| {
            STEPS
                .iter()
                .find(|step| **step == span.name)
                .map(|step| (*step).to_owned())
        },
        attributes: &[attribute("error.type", Text, FAILED)],
        errors: &[ERRORS, &["abandoned", "lease_lost"]],
        metric: None,
    },
];

/// The error.type of an operation that was dropped, or that panicked, before its end.
pub(super) const CANCELLED: &str = "cancelled";
const PANIC: &str = "panic";

/// The error.type of a failed job: its order failed or begins to wait, its lease was lost, the worker
/// abandoned it or stopped, could not read it, or the database rejected its claim or its outcome.
pub(super) const OUTCOMES: &[&[&str]] = &[
    ERRORS,
    &[
        "abandoned",
        CANCELLED,
        "claim",
        "lease_lost",
        "record",
        "unreadable",
    ],
];

/// The row that a span belongs to.
pub(super) fn row_of(span: &Span) -> Option<&'static SpanRow> {
    ROWS.iter()
        .find(|row| row.kind == span.kind && (row.is_one)(span))
}

pub(super) fn is_step(span: &Span) -> bool {
    span.kind == SpanKind::Internal
}

fn is_database(span: &Span) -> bool {
    span.attributes.iter().any(|(name, _)| name.starts_with("db."))
}

/// The values of a metric's `error.type`: those of the spans that it measures or counts.
pub(super) fn errors_of(metric: &str) -> impl Iterator<Item = &'static str> {
    let measured = match metric {
        "messaging.client.sent.messages" => SEND,
        "messaging.client.consumed.messages" => PROCESS,
        other => other,
    };
    let rows = ROWS.iter().filter(move |row| row.metric == Some(measured));
    rows.flat_map(SpanRow::errors)
}

pub(super) fn is_redis(span: &Span) -> bool {
    span.attributes.get_str("db.system.name") == Some("redis")
}

/// The method as it is in the span's name.
fn method(span: &Span) -> Option<&str> {
    let method = span.attributes.get_str("http.request.method")?;
    Some(if method == "_OTHER" { "HTTP" } else { method })
}

fn destination(span: &Span) -> Option<&str> {
    span.attributes.get_str("messaging.destination.name")
}

/// All values of an attribute. A run must show each of them.
pub(super) const VALUES: &[(SpanKind, &str, &[&str])] = &[
    (SpanKind::Client, "db.system.name", &["postgresql", "redis"]),
    (SpanKind::Producer, "messaging.operation.name", &["send"]),
    (SpanKind::Producer, "messaging.operation.type", &["send"]),
    (SpanKind::Producer, "messaging.system", &["apalis"]),
    (
        SpanKind::Producer,
        "queue.reason",
        &["lost", "lease_expired", "retry"],
    ),
    (SpanKind::Consumer, "messaging.operation.name", &["process"]),
    (SpanKind::Consumer, "messaging.operation.type", &["process"]),
    (SpanKind::Consumer, "messaging.system", &["apalis"]),
    (
        SpanKind::Consumer,
        "order.status",
        &["completed", "failed", "pending"],
    ),
    (SpanKind::Consumer, "order.failure.code", FAILURES),
];

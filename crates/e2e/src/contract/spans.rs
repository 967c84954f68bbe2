//! The rows of spans and of their attributes.

use lens::{Span, SpanKind, Value};

/// The type of an attribute's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Text,
    Int,
    Double,
    Bool,
}

impl Type {
    pub(super) fn fits(self, value: &Value) -> bool {
        match self {
            Self::Text => value.as_str().is_some(),
            Self::Int => value.as_i64().is_some(),
            Self::Double => value.as_f64().is_some(),
            Self::Bool => value.as_bool().is_some(),
        }
    }
}

/// When an attribute is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Presence {
    /// On every instance.
    Always,
    /// Where it applies: on one instance of a run at least.
    Applies,
    /// Allowed; the reason why no run needs to show it.
    Allowed(&'static str),
}

/// A row of attributes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attribute {
    pub(super) name: &'static str,
    pub(super) kind: Type,
    pub(super) presence: Presence,
}

const fn always(name: &'static str, kind: Type) -> Attribute {
    Attribute {
        name,
        kind,
        presence: Always,
    }
}

const fn applies(name: &'static str, kind: Type) -> Attribute {
    Attribute {
        name,
        kind,
        presence: Applies,
    }
}

const fn allowed(name: &'static str, kind: Type, why: &'static str) -> Attribute {
    Attribute {
        name,
        kind,
        presence: Allowed(why),
    }
}

use Presence::{Allowed, Always, Applies};
use Type::{Bool, Double, Int, Text};

/// A row of spans.
#[derive(Debug)]
pub(super) struct SpanRow {
    pub(super) title: &'static str,
    pub(super) kind: SpanKind,
    /// Whether a span of this kind is one of these.
    is_one: fn(&Span) -> bool,
    /// The name that it must have.
    pub(super) name: fn(&Span) -> Option<String>,
    pub(super) attributes: &'static [Attribute],
    /// The metric that measures the same.
    pub(super) metric: Option<&'static str>,
}

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
    "validate_high_value_order",
    "validate_payment_method",
];

pub(super) const ROWS: &[SpanRow] = &[
    SpanRow {
        title: "HTTP server",
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
            applies("error.type", Text),
            applies("http.response.status_code", Int),
            applies("http.route", Text),
            applies("url.query", Text),
            applies("server.port", Int),
            applies("network.protocol.name", Text),
            applies("http.request.method_original", Text),
            applies("client.address", Text),
            applies("network.peer.address", Text),
            applies("network.peer.port", Int),
            applies("network.protocol.version", Text),
            applies("server.address", Text),
            applies("user_agent.original", Text),
        ],
        metric: Some(HTTP_SERVER),
    },
    SpanRow {
        title: "HTTP client",
        kind: SpanKind::Client,
        is_one: |span| !is_database(span),
        name: |span| method(span).map(str::to_owned),
        attributes: &[
            always("http.request.method", Text),
            always("server.address", Text),
            always("server.port", Int),
            always("url.full", Text),
            applies("error.type", Text),
            applies("http.response.status_code", Int),
            applies("http.request.resend_count", Int),
            applies("network.protocol.version", Text),
        ],
        metric: Some(HTTP_CLIENT),
    },
    SpanRow {
        title: "PostgreSQL",
        kind: SpanKind::Client,
        is_one: |span| is_database(span) && !is_redis(span),
        name: |span| Some(span.attributes.get_str("db.query.summary")?.to_owned()),
        attributes: &[
            always("db.system.name", Text),
            always("db.query.summary", Text),
            applies("db.namespace", Text),
            applies("db.response.status_code", Text),
            applies("error.type", Text),
            applies("server.port", Int),
            applies("db.query.text", Text),
            applies("db.operation.name", Text),
            applies("db.collection.name", Text),
            allowed(
                "db.operation.batch.size",
                Int,
                "no statement of the product is a batch",
            ),
            applies("server.address", Text),
        ],
        metric: Some(DATABASE),
    },
    SpanRow {
        title: "Redis as a cache",
        kind: SpanKind::Client,
        is_one: is_redis,
        name: |span| Some(span.attributes.get_str("db.operation.name")?.to_owned()),
        attributes: &[
            always("db.operation.name", Text),
            always("db.system.name", Text),
            applies("db.namespace", Text),
            applies("error.type", Text),
            applies("db.response.status_code", Text),
            applies("server.port", Int),
            applies("db.query.text", Text),
            applies("server.address", Text),
        ],
        metric: Some(DATABASE),
    },
    SpanRow {
        title: "send",
        kind: SpanKind::Producer,
        is_one: |_| true,
        name: |span| destination(span).map(|queue| format!("send {queue}")),
        attributes: &[
            always("messaging.operation.name", Text),
            always("messaging.operation.type", Text),
            always("messaging.system", Text),
            applies("messaging.destination.name", Text),
            applies("error.type", Text),
            applies("messaging.message.id", Text),
            applies("server.address", Text),
            applies("server.port", Int),
        ],
        metric: Some(SEND),
    },
    SpanRow {
        title: "process",
        kind: SpanKind::Consumer,
        is_one: |_| true,
        name: |span| destination(span).map(|queue| format!("process {queue}")),
        attributes: &[
            always("messaging.operation.name", Text),
            always("messaging.operation.type", Text),
            always("messaging.system", Text),
            applies("messaging.destination.name", Text),
            applies("error.type", Text),
            applies("messaging.message.id", Text),
            applies("messaging.client.id", Text),
        ],
        metric: Some(PROCESS),
    },
    SpanRow {
        title: "step",
        kind: SpanKind::Internal,
        is_one: |_| true,
        name: |span| {
            STEPS
                .iter()
                .find(|step| **step == span.name)
                .map(|step| (*step).to_owned())
        },
        attributes: &[applies("error.type", Text)],
        metric: None,
    },
];

/// Attributes that are in no convention. Any span may carry those that concern it.
pub(super) const OWN: &[Attribute] = &[
    applies("order.id", Text),
    applies("order.status", Text),
    applies("order.amount", Double),
    applies("order.currency", Text),
    applies("order.high_value", Bool),
    applies("order.items", Int),
    applies("payment.method", Text),
    applies("payment.id", Text),
    applies("payment.gateway", Text),
    applies("order.failure.code", Text),
    applies("queue.attempt", Int),
    applies("queue.wait_ms", Int),
    applies("queue.reason", Text),
    applies("analytics.total_orders", Int),
    applies("analytics.pending_orders", Int),
    applies("db.query.slow", Bool),
    allowed(
        "db.n_plus_one.suspected",
        Bool,
        "no request of the product repeats a statement ten times",
    ),
    applies("http.auth.present", Bool),
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
    span.attributes
        .iter()
        .any(|(name, _)| name.starts_with("db."))
}

fn is_redis(span: &Span) -> bool {
    span.attributes.get_str("db.system.name") == Some("redis")
}

/// How the span's name says the method.
fn method(span: &Span) -> Option<&str> {
    let method = span.attributes.get_str("http.request.method")?;
    Some(if method == "_OTHER" { "HTTP" } else { method })
}

fn destination(span: &Span) -> Option<&str> {
    span.attributes.get_str("messaging.destination.name")
}

/// What an attribute must say, wherever it is.
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
];

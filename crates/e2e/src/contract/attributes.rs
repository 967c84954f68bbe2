//! The types of attributes, when a span has one, and the attributes that are in no convention.

use lens::{Span, SpanKind, Value};

use super::applies::{FAILURES, creates, fails_its_order, is_of_one_order, pays};

use Presence::{NotOnSpans, Once, Where};
use Type::{Bool, Double, Int, Text};
use Values::{Any, Examples, Words};

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

/// When a span has an attribute.
#[derive(Debug, Clone, Copy)]
pub(super) enum Presence {
    /// Every span.
    Always,
    /// Every span for which the function is true. The text says when that is.
    Where(&'static str, fn(&Span) -> bool),
    /// At least one span of a run: the span does not show whether it applies.
    Once,
    /// None: a metric or a log record has it.
    NotOnSpans,
}

/// The presence of `error.type`.
pub(super) const FAILED: Presence = Where("If the operation failed.", Span::failed);

/// A row of attributes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attribute {
    pub(super) name: &'static str,
    pub(super) kind: Type,
    pub(super) presence: Presence,
}

pub(super) const fn attribute(name: &'static str, kind: Type, presence: Presence) -> Attribute {
    Attribute { name, kind, presence }
}

pub(super) const fn always(name: &'static str, kind: Type) -> Attribute {
    attribute(name, kind, Presence::Always)
}

pub(super) const fn once(name: &'static str, kind: Type) -> Attribute {
    attribute(name, kind, Once)
}

/// The values of an attribute.
#[derive(Debug, Clone, Copy)]
pub(super) enum Values {
    /// All of its type.
    Any,
    /// Texts, such as these.
    Examples(&'static [&'static str]),
    /// These words alone.
    Words(&'static [&'static str]),
}

/// An attribute that is in no convention.
#[derive(Debug, Clone, Copy)]
pub(super) struct OwnAttribute {
    pub(super) attribute: Attribute,
    pub(super) brief: &'static str,
    pub(super) values: Values,
}

const fn own(
    name: &'static str,
    kind: Type,
    presence: Presence,
    values: Values,
    brief: &'static str,
) -> OwnAttribute {
    OwnAttribute {
        attribute: attribute(name, kind, presence),
        brief,
        values,
    }
}

const NEW_ORDER: Presence = Where("If the span creates an order.", creates);

/// Any span may have those that are on spans.
pub(super) const OWN: &[OwnAttribute] = &[
    own(
        "order.id",
        Text,
        Where("If the span belongs to one order.", is_of_one_order),
        Examples(&["0192e4a0-5c1e-7a3b-9d0f-3a1b2c4d5e6f"]),
        "The order.",
    ),
    own(
        "order.status",
        Text,
        Once,
        Words(&["pending", "processing", "completed", "failed", "cancelled"]),
        "The order's status after the operation.",
    ),
    own(
        "order.amount",
        Double,
        NEW_ORDER,
        Any,
        "The order's amount, in units of its currency.",
    ),
    own(
        "order.currency",
        Text,
        NEW_ORDER,
        Examples(&["EUR", "JPY"]),
        "The currency of the order's amount, by ISO 4217.",
    ),
    own(
        "order.high_value",
        Bool,
        NEW_ORDER,
        Any,
        "Whether the order's amount is above `HIGH_VALUE_THRESHOLD`.",
    ),
    own(
        "order.items",
        Int,
        NEW_ORDER,
        Any,
        "The number of the order's items.",
    ),
    own(
        "payment.method",
        Text,
        Where("If the span belongs to a payment.", pays),
        Words(&["credit_card", "debit_card", "paypal"]),
        "How the order is paid.",
    ),
    own(
        "payment.id",
        Text,
        Once,
        Examples(&["pi_3MtwBwLkdIwHu7ix28a3tqPa"]),
        "The id of the payment intent at the gateway.",
    ),
    own(
        "payment.gateway",
        Text,
        Once,
        Examples(&["api.stripe.com"]),
        "The host of the payment gateway.",
    ),
    own(
        "order.failure.code",
        Text,
        Where("If the order failed, or the attempt at it.", fails_its_order),
        Words(FAILURES),
        "Why an order failed, waits, or is attempted again.",
    ),
    own(
        "order.waiting.reason",
        Text,
        NotOnSpans,
        Words(&["gateway", "backoff", "dispatch", "paused"]),
        "What pending orders wait for.",
    ),
    own(
        "order.actor",
        Text,
        NotOnSpans,
        Examples(&["operator:7f3c", "customer:42"]),
        "Who acted: `customer:` or `operator:`, and the `sub` of the token.",
    ),
    own(
        "order.operation.id",
        Text,
        NotOnSpans,
        Examples(&["0192e4a0-5c1e-7a3b-9d0f-3a1b2c4d5e6f"]),
        "The operation on all orders of a filter.",
    ),
    own(
        "order.operation.kind",
        Text,
        NotOnSpans,
        Words(&["retry", "cancel"]),
        "What the operation does to the orders.",
    ),
    own(
        "queue.attempt",
        Int,
        Once,
        Any,
        "The number of the attempt at the job, from 1.",
    ),
    own(
        "queue.wait_ms",
        Int,
        Once,
        Any,
        "The time that the job spent in the queue, in milliseconds.",
    ),
    own(
        "queue.reason",
        Text,
        Once,
        Words(&["lost", "lease_expired", "retry"]),
        "Why the job was sent again.",
    ),
    own(
        "analytics.total_orders",
        Int,
        Once,
        Any,
        "The number of all orders in the response.",
    ),
    own(
        "analytics.pending_orders",
        Int,
        Once,
        Any,
        "The number of pending orders in the response.",
    ),
    own(
        "db.query.slow",
        Bool,
        Once,
        Any,
        "The statement took longer than `SLOW_QUERY_THRESHOLD`.",
    ),
    own(
        "db.n_plus_one.suspected",
        Bool,
        Once,
        Any,
        "A statement ran ten times or more in the request.",
    ),
    own(
        "http.request.id",
        Text,
        Once,
        Examples(&["0192e4a0-5c1e-7a3b-9d0f-3a1b2c4d5e6f"]),
        "What the service calls the request in the header `X-Request-Id` of its response.",
    ),
    own(
        "http.auth.present",
        Bool,
        Where("If the span is a server's.", |span| span.kind == SpanKind::Server),
        Any,
        "Whether the request carried credentials. The header itself is never recorded.",
    ),
];

/// Those that are on spans.
pub(super) fn own_of_spans() -> impl Iterator<Item = &'static Attribute> {
    let all = OWN.iter().map(|own| &own.attribute);
    all.filter(|attribute| !matches!(attribute.presence, NotOnSpans))
}

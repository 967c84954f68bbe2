//! Whether an attribute applies to a span, as far as the span itself shows.

use lens::{Span, SpanKind, Value};

/// `order.failure.code`: why an order failed, waits, or is tried again. [`CARD_DECLINED`] is the first.
pub(super) const FAILURES: &[&str] = &[
    CARD_DECLINED,
    "amount_mismatch",
    "attempts_exhausted",
    "payment_deadline",
    "payment_rejected",
    "payment_timeout",
    "payment_unavailable",
    "worker_crashed",
];

/// The failures that are errors of a job: all but a declined card, which is an outcome.
pub(super) const ERRORS: &[&str] = match FAILURES {
    [_card_declined, errors @ ..] => errors,
    [] => &[],
};

pub(super) const CARD_DECLINED: &str = "card_declined";

/// Whether the span has an HTTP response: it did not fail, or its error is a status code.
pub(super) fn has_response(span: &Span) -> bool {
    error(span).is_none_or(|error| error.parse::<u16>().is_ok())
}

pub(super) fn has_unknown_method(span: &Span) -> bool {
    span.attributes.get_str("http.request.method") == Some("_OTHER")
}

/// A request that found its order, a job, and the steps of one.
pub(super) fn is_of_one_order(span: &Span) -> bool {
    let route = span.attributes.get_str("http.route").unwrap_or_default();
    match span.kind {
        SpanKind::Consumer => true,
        SpanKind::Server => {
            route.starts_with("/api/orders/{id}") && status_code(span).is_some_and(|code| code < 400)
        }
        SpanKind::Internal => ["process_payment", "validate_high_value_order"].contains(&&*span.name),
        _ => false,
    }
}

pub(super) fn creates(span: &Span) -> bool {
    span.name == "create_order"
}

pub(super) fn pays(span: &Span) -> bool {
    ["process_payment", "validate_payment_method"].contains(&&*span.name)
}

pub(super) fn fails_its_order(span: &Span) -> bool {
    span.kind == SpanKind::Consumer
        && (error(span).is_some_and(|error| ERRORS.contains(&error))
            || span.attributes.get_str("order.status") == Some("failed"))
}

pub(super) fn error(span: &Span) -> Option<&str> {
    span.attributes.get_str("error.type")
}

pub(super) fn failure(span: &Span) -> Option<&str> {
    span.attributes.get_str("order.failure.code")
}

pub(super) fn status_code(span: &Span) -> Option<i64> {
    let code = span.attributes.get("http.response.status_code");
    code.and_then(Value::as_i64)
}

/// The SQLSTATE that a statement's error must come with (PostgreSQL, appendix A).
pub(super) fn sqlstate(span: &Span) -> Option<&'static str> {
    Some(match error(span)? {
        "check_violation" => "23514",
        "exclusion_violation" => "23P01",
        "foreign_key_violation" => "23503",
        "not_null_violation" => "23502",
        "read_only_transaction" => "25006",
        "serialization_failure" => "40001",
        "unique_violation" => "23505",
        _ => return None,
    })
}

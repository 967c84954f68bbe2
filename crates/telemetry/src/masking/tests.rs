//! Every field of a span is masked. The tests of the `mask` crate cover what is a secret.

use std::time::SystemTime;

use opentelemetry::trace::{Event, Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId};
use opentelemetry::{Array, InstrumentationScope, KeyValue, Value};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::{is_clean, span, static_text};

/// One text for each kind of secret, and the part that must not be exported.
const SECRETS: [(&str, &str); 6] = [
    ("mail to joe@example.com failed", "joe@example.com"),
    ("call +1 (415) 555-2671", "555-2671"),
    ("card 4111 1111 1111 1111 was declined", "1111"),
    ("Authorization: Bearer abc.def", "abc.def"),
    ("password=hunter2, user=joe", "hunter2"),
    ("postgres://app:pw4app@db:5432/shop", "pw4app"),
];

fn span_of(text: &str) -> SpanData {
    let text = || text.to_owned();
    let attributes = || vec![KeyValue::new("text", text())];
    let mut events = SpanEvents::default();
    let event = Event::new(text(), SystemTime::UNIX_EPOCH, attributes(), 0);
    events.events.push(event);
    let mut links = SpanLinks::default();
    links.links.push(Link::new(SpanContext::NONE, attributes(), 0));
    let list = Value::Array(Array::String(vec![text().into()]));
    SpanData {
        span_context: SpanContext::NONE,
        parent_span_id: SpanId::INVALID,
        parent_span_is_remote: false,
        span_kind: SpanKind::Internal,
        name: text().into(),
        start_time: SystemTime::UNIX_EPOCH,
        end_time: SystemTime::UNIX_EPOCH,
        attributes: vec![KeyValue::new("text", text()), KeyValue::new("list", list)],
        dropped_attributes_count: 0,
        events,
        links,
        status: Status::error(text()),
        instrumentation_scope: InstrumentationScope::default(),
    }
}

/// A span's masked attributes as text.
fn masked_attributes(attributes: Vec<KeyValue>, limit: Option<usize>) -> Vec<String> {
    let mut data = span_of("");
    data.attributes = attributes;
    span(&mut data, limit);
    data.attributes.iter().map(|it| it.value.to_string()).collect()
}

#[test]
fn no_secret_survives_in_any_field_of_a_span() {
    for (text, secret) in SECRETS {
        let mut data = span_of(text);
        span(&mut data, None);
        let shown = format!("{data:?}");
        assert!(!shown.contains(secret), "{shown}");
    }
}

#[test]
fn a_field_with_the_name_of_a_secret_is_hidden() {
    let shown = masked_attributes(
        vec![
            KeyValue::new("user.password", "hunter"),
            KeyValue::new("customer.phone", "hunter"),
            KeyValue::new("customer.mobile", 100),
            KeyValue::new("cvv", Value::Array(Array::I64(vec![123]))),
            KeyValue::new("card.number", 1.5),
            KeyValue::new(
                "http.request.header.authorization",
                Value::Array(Array::String(vec!["hunter".into()])),
            ),
        ],
        None,
    );
    assert_eq!(
        shown,
        [
            "[secret]",
            "[secret]",
            "[secret]",
            "[\"[secret]\"]",
            "[secret]",
            "[\"[secret]\"]"
        ]
    );
}

#[test]
fn a_card_number_as_a_whole_number_is_masked_and_a_time_is_not() {
    let shown = masked_attributes(
        vec![
            KeyValue::new("card", 4_111_111_111_111_111_i64),
            KeyValue::new("as double", 4_111_111_111_111_111_f64),
            KeyValue::new("listed", Value::Array(Array::I64(vec![7, 4_111_111_111_111_111]))),
            KeyValue::new("nanoseconds", 1_767_322_860_000_000_000_i64),
            KeyValue::new("share", 0.5),
        ],
        None,
    );
    assert_eq!(
        shown,
        [
            "[card]",
            "[card]",
            "[\"7\",\"[card]\"]",
            "1767322860000000000",
            "0.5"
        ]
    );
}

#[test]
fn a_long_text_is_cut_at_a_whole_character() {
    let shown = masked_attributes(vec![KeyValue::new("text", "größer")], Some(4));
    assert_eq!(shown, ["größ"]);
}

#[test]
fn a_static_text_is_masked_once_and_still_cut() {
    let text = static_text("SELECT 1 -- by joe@example.com, in a comment");
    assert!(text.starts_with("SELECT 1") && !text.contains("joe@"), "{text}");
    assert!(is_clean(text, None) && is_clean(text, Some(text.len())));
    let copy = String::from(text);
    assert!(!is_clean(&copy, None), "only its address counts");
    let shown = masked_attributes(vec![KeyValue::new("text", text)], Some(6));
    assert_eq!(shown, ["SELECT"]);
    let secret = KeyValue::new("text", "SELECT 1 -- by joe@example.com, in a comment");
    assert_eq!(masked_attributes(vec![secret], None), [text]);
}

#[test]
fn a_trace_state_with_a_secret_is_not_exported() {
    let of = |state: &str| {
        let (trace, span) = (TraceId::from(1), SpanId::from(1));
        let state = state.parse().unwrap();
        SpanContext::new(trace, span, TraceFlags::SAMPLED, true, state)
    };
    for (state, exported) in [
        ("vendor=7,other=abc", "vendor=7,other=abc"),
        ("vendor=joe@example.com,other=abc", ""),
    ] {
        let mut data = span_of("");
        data.span_context = of(state);
        data.links.links = vec![Link::new(of(state), Vec::new(), 0)];
        span(&mut data, None);
        for context in [&data.span_context, &data.links.links[0].span_context] {
            assert_eq!(context.trace_state().header(), exported);
            assert!(context.is_valid() && context.is_sampled() && context.is_remote());
        }
    }
}

//! Masks spans and the texts of log records with the `mask` crate. Clean ones are neither changed nor copied.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::{PoisonError, RwLock};

use opentelemetry::trace::{SpanContext, Status, TraceState};
use opentelemetry::{Array, KeyValue, StringValue, Value};
use opentelemetry_sdk::trace::SpanData;

use crate::names;

/// The longest text attribute, in characters.
pub(crate) type Limit = Option<usize>;

/// The limits of a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordLimits {
    /// The largest number of attributes.
    pub(crate) attributes: usize,
    pub(crate) value_length: Limit,
}

/// The addresses and lengths of the texts of [`static_text`]. They are never freed, so no other text has one
/// of the addresses.
static CLEAN: RwLock<BTreeSet<(usize, usize)>> = RwLock::new(BTreeSet::new());
/// Texts up to this length, in bytes, are not looked up in [`CLEAN`]: to mask them takes no longer.
const SHORT: usize = 32;

/// Masks a text for the lifetime of the program: a statement's, which is long and the same in each of its
/// spans, and takes several microseconds to mask. Spans that have it as an attribute do not mask it again.
pub(crate) fn static_text(text: &str) -> &'static str {
    let masked: &'static str = mask::text(text).into_owned().leak();
    let mut clean = CLEAN.write().unwrap_or_else(PoisonError::into_inner);
    clean.insert((masked.as_ptr().addr(), masked.len()));
    masked
}

/// Whether it is a text of [`static_text`] within the limit.
fn is_clean(text: &str, limit: Limit) -> bool {
    let is_candidate = text.len() > SHORT && limit.is_none_or(|limit| text.len() <= limit);
    is_candidate && {
        let clean = CLEAN.read().unwrap_or_else(PoisonError::into_inner);
        clean.contains(&(text.as_ptr().addr(), text.len()))
    }
}

/// Masks the span's name, attributes, events, links and status. Texts longer than `limit` are cut.
pub(crate) fn span(span: &mut SpanData, limit: Limit) {
    name(&mut span.name);
    context(&mut span.span_context);
    attributes(&mut span.attributes, limit);
    for event in &mut span.events.events {
        name(&mut event.name);
        attributes(&mut event.attributes, limit);
    }
    for link in &mut span.links.links {
        context(&mut link.span_context);
        attributes(&mut link.attributes, limit);
    }
    if let Status::Error { description } = &mut span.status {
        name(description);
    }
}

/// Removes a `tracestate` that is not clean: callers write it, and a masked one would be invalid.
fn context(context: &mut SpanContext) {
    let state = context.trace_state();
    if *state != TraceState::NONE && matches!(mask::text(&state.header()), Cow::Owned(_)) {
        *context = SpanContext::new(
            context.trace_id(),
            context.span_id(),
            context.trace_flags(),
            context.is_remote(),
            TraceState::NONE,
        );
    }
}

/// A name that the program contains has no personal data.
fn name(name: &mut Cow<'static, str>) {
    if let Cow::Owned(text) = name
        && let Cow::Owned(masked) = mask::text(text)
    {
        *text = masked;
    }
}

fn attributes(attributes: &mut [KeyValue], limit: Limit) {
    for attribute in attributes {
        if let Some(masked) = value(attribute.key.as_str(), &attribute.value, limit) {
            attribute.value = masked;
        }
    }
}

/// Whether the attribute is one of this crate's whose values are words of the program or small numbers, and
/// has such a value. Most attributes of most spans are: scanning them took half of the time of masking.
fn is_of_the_program(key: &str, value: &Value) -> bool {
    let is_known = matches!(
        key,
        names::DB_COLLECTION_NAME
            | names::DB_NAMESPACE
            | names::DB_OPERATION_BATCH_SIZE
            | names::DB_OPERATION_NAME
            | names::DB_QUERY_SUMMARY
            | names::DB_SYSTEM_NAME
            | names::ERROR_TYPE
            | names::HTTP_REQUEST_METHOD
            | names::HTTP_RESPONSE_STATUS_CODE
            | names::HTTP_ROUTE
            | names::MESSAGING_BATCH_MESSAGE_COUNT
            | names::MESSAGING_DESTINATION_NAME
            | names::MESSAGING_OPERATION_NAME
            | names::MESSAGING_OPERATION_TYPE
            | names::MESSAGING_SYSTEM
            | names::NETWORK_PEER_PORT
            | names::NETWORK_PROTOCOL_NAME
            | names::QUEUE_ATTEMPT
            | names::QUEUE_WAIT_MS
            | names::SERVER_PORT
            | names::URL_SCHEME
    );
    is_known
        && match value {
            Value::String(text) => text.as_str().bytes().all(is_of_a_word),
            Value::I64(number) => number.unsigned_abs() < 1_000_000,
            _ => false,
        }
}

/// No digit, `@`, `:` or `=`: without them there is no number, address or assignment.
fn is_of_a_word(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'A'..=b'Z' | b' ' | b'.' | b'_' | b'-' | b'/' | b'{' | b'}')
}

/// The masked value; `None` if it is clean.
fn value(key: &str, value: &Value, limit: Limit) -> Option<Value> {
    match value {
        Value::Bool(_) => None,
        Value::String(_) | Value::I64(_) if limit.is_none() && is_of_the_program(key, value) => None,
        Value::String(string) if is_clean(string.as_str(), limit) => None,
        Value::String(string) => masked_text(key, string.as_str(), limit).map(Value::from),
        Value::I64(whole) => mask::integer(key, *whole).map(Value::from),
        Value::F64(float) => mask::float(key, *float).map(Value::from),
        Value::Array(Array::String(strings)) => {
            list(strings, |string| masked_text(key, string.as_str(), limit))
        }
        Value::Array(Array::I64(numbers)) => {
            list(numbers, |whole| mask::integer(key, *whole).map(str::to_owned))
        }
        Value::Array(Array::F64(numbers)) => {
            list(numbers, |float| mask::float(key, *float).map(str::to_owned))
        }
        _ => None,
    }
}

/// The list as texts; `None` if all values are clean.
fn list<T: ToString>(values: &[T], masked: impl Fn(&T) -> Option<String>) -> Option<Value> {
    values.iter().any(|value| masked(value).is_some()).then(|| {
        let texts = values
            .iter()
            .map(|value| masked(value).unwrap_or_else(|| value.to_string()))
            .map(StringValue::from);
        Value::Array(Array::String(texts.collect()))
    })
}

/// The masked and cut text; `None` if it is unchanged.
pub(crate) fn masked_text(key: &str, value: &str, limit: Limit) -> Option<String> {
    // Only the part within the limit is masked, so the cost does not depend on the text's length.
    let masked = mask::field(key, value, length(value, limit));
    if std::ptr::eq(&*masked, value) {
        return None;
    }
    let cut = masked.get(..length(&masked, limit)).unwrap_or_default();
    // They are equal if the value of a secret field was masked already.
    (cut != value).then(|| cut.to_owned())
}

/// The length in bytes of the part of the text within the limit.
fn length(text: &str, limit: Limit) -> usize {
    limit
        .and_then(|limit| text.char_indices().nth(limit))
        .map_or(text.len(), |(end, _)| end)
}

#[cfg(test)]
mod tests;

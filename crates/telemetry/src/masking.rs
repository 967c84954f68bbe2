//! Masks spans and log records in place, with the `mask` crate. What is clean is not touched.

use std::borrow::Cow;
use std::sync::LazyLock;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider};
use opentelemetry::trace::{SpanContext, Status, TraceState};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::trace::SpanData;

/// How long a text attribute may be, in characters.
pub(crate) type Limit = Option<usize>;

/// What a log record may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordLimits {
    /// How many attributes.
    pub(crate) attributes: usize,
    pub(crate) value_length: Limit,
}

impl RecordLimits {
    #[cfg(test)]
    const NONE: Self = Self {
        attributes: usize::MAX,
        value_length: None,
    };
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

/// A `tracestate` is written by callers. Where it is not clean, all of it goes: a masked one would not be one any more.
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

fn name(name: &mut Cow<'static, str>) {
    if let Cow::Owned(masked) = mask::text(name) {
        *name = masked.into();
    }
}

fn attributes(attributes: &mut [KeyValue], limit: Limit) {
    for attribute in attributes {
        if let Some(masked) = value(attribute.key.as_str(), &attribute.value, limit) {
            attribute.value = masked;
        }
    }
}

/// What stands in the value's place; `None` where it can stay.
fn value(key: &str, value: &Value, limit: Limit) -> Option<Value> {
    match value {
        Value::String(string) => shown(key, string.as_str(), limit).map(Value::from),
        Value::I64(whole) => mask::integer(key, *whole).map(Value::from),
        Value::F64(float) => mask::float(key, *float).map(Value::from),
        Value::Array(Array::String(strings)) => list(strings, |string| shown(key, string.as_str(), limit)),
        Value::Array(Array::I64(numbers)) => {
            list(numbers, |whole| mask::integer(key, *whole).map(str::to_owned))
        }
        Value::Array(Array::F64(numbers)) => {
            list(numbers, |float| mask::float(key, *float).map(str::to_owned))
        }
        _ => None,
    }
}

/// A list of texts, where one value or more is masked.
fn list<T: ToString>(values: &[T], masked: impl Fn(&T) -> Option<String>) -> Option<Value> {
    values.iter().any(|value| masked(value).is_some()).then(|| {
        let texts = values
            .iter()
            .map(|value| masked(value).unwrap_or_else(|| value.to_string()))
            .map(StringValue::from);
        Value::Array(Array::String(texts.collect()))
    })
}

/// The text to show instead of `value`; `None` where it can be shown as it is.
fn shown(key: &str, value: &str, limit: Limit) -> Option<String> {
    // Cut first, so that a text of any length costs what is shown of it.
    let masked = mask::field(key, value, length(value, limit));
    if std::ptr::eq(&*masked, value) {
        return None;
    }
    let shown = masked.get(..length(&masked, limit)).unwrap_or_default();
    // A name that says secret leaves a value of the same text as before only where it was masked already.
    (shown != value).then(|| shown.to_owned())
}

/// How many bytes of the text are within the limit.
fn length(text: &str, limit: Limit) -> usize {
    limit
        .and_then(|limit| text.char_indices().nth(limit))
        .map_or(text.len(), |(end, _)| end)
}

/// What became of a log record.
#[derive(Debug)]
pub(crate) enum Masked {
    /// It was clean.
    Unchanged,
    /// This stands in its place.
    Instead(Box<SdkLogRecord>),
}

/// Masks the record's body and attributes; attributes beyond the limit go. The SDK lets nobody change a record's attributes, so
/// one that is not clean is written again.
pub(crate) fn log_record(record: &SdkLogRecord, limits: RecordLimits) -> Masked {
    let limit = limits.value_length;
    let body = record.body().and_then(|body| any_value("", body, None));
    let within = record.attributes_iter().nth(limits.attributes).is_none();
    let clean = within
        && body.is_none()
        && record
            .attributes_iter()
            .all(|(key, value)| any_value(key.as_str(), value, limit).is_none());
    if clean {
        return Masked::Unchanged;
    }
    let mut masked = copy_without_content(record);
    if let Some(body) = body.or_else(|| record.body().cloned()) {
        masked.set_body(body);
    }
    for (key, value) in record.attributes_iter().take(limits.attributes) {
        let value = any_value(key.as_str(), value, limit).unwrap_or_else(|| value.clone());
        masked.add_attribute(key.clone(), value);
    }
    Masked::Instead(Box::new(masked))
}

fn copy_without_content(record: &SdkLogRecord) -> SdkLogRecord {
    let mut copy = blank();
    if let Some(name) = record.event_name() {
        copy.set_event_name(name);
    }
    if let Some(target) = record.target() {
        copy.set_target(target.clone());
    }
    if let Some(time) = record.timestamp() {
        copy.set_timestamp(time);
    }
    if let Some(time) = record.observed_timestamp() {
        copy.set_observed_timestamp(time);
    }
    if let Some(text) = record.severity_text() {
        copy.set_severity_text(text);
    }
    if let Some(number) = record.severity_number() {
        copy.set_severity_number(number);
    }
    if let Some(trace) = record.trace_context() {
        copy.set_trace_context(trace.trace_id, trace.span_id, trace.trace_flags);
    }
    copy
}

/// Only a logger can make a record; this one has no other purpose.
fn blank() -> SdkLogRecord {
    static LOGGER: LazyLock<SdkLogger> =
        LazyLock::new(|| SdkLoggerProvider::builder().build().logger("mask"));
    LOGGER.create_log_record()
}

fn any_value(key: &str, value: &AnyValue, limit: Limit) -> Option<AnyValue> {
    match value {
        AnyValue::String(string) => shown(key, string.as_str(), limit).map(AnyValue::from),
        AnyValue::Int(whole) => mask::integer(key, *whole).map(AnyValue::from),
        AnyValue::Double(float) => mask::float(key, *float).map(AnyValue::from),
        AnyValue::Bytes(bytes) => {
            let text = shown(key, &String::from_utf8_lossy(bytes), None)?;
            Some(AnyValue::Bytes(Box::new(text.into_bytes())))
        }
        AnyValue::ListAny(list) => {
            let masked = |value| any_value(key, value, limit);
            list.iter().any(|value| masked(value).is_some()).then(|| {
                let values = list
                    .iter()
                    .map(|value| masked(value).unwrap_or_else(|| value.clone()));
                AnyValue::ListAny(Box::new(values.collect()))
            })
        }
        AnyValue::Map(map) => {
            let masked = |(key, value): (&Key, &AnyValue)| any_value(key.as_str(), value, limit);
            map.iter().any(|entry| masked(entry).is_some()).then(|| {
                let entries = map.iter().map(|(key, value)| {
                    let value = masked((key, value)).unwrap_or_else(|| value.clone());
                    (key.clone(), value)
                });
                AnyValue::Map(Box::new(entries.collect()))
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;

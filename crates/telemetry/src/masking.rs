//! Masks spans and log records with the `mask` crate. Clean ones are neither changed nor copied.

use std::borrow::Cow;
use std::sync::LazyLock;

use opentelemetry::logs::{AnyValue, LogRecord, Logger, LoggerProvider};
use opentelemetry::trace::{SpanContext, Status, TraceState};
use opentelemetry::{Array, Key, KeyValue, StringValue, Value};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger, SdkLoggerProvider};
use opentelemetry_sdk::trace::SpanData;

/// The longest text attribute, in characters.
pub(crate) type Limit = Option<usize>;

/// The limits of a log record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RecordLimits {
    /// The largest number of attributes.
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

/// The masked value; `None` if it is clean.
fn value(key: &str, value: &Value, limit: Limit) -> Option<Value> {
    match value {
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
fn masked_text(key: &str, value: &str, limit: Limit) -> Option<String> {
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

/// The result of masking a log record.
#[derive(Debug)]
pub(crate) enum Masked {
    /// The record is clean.
    Unchanged,
    /// The record to export instead.
    Instead(Box<SdkLogRecord>),
}

/// Masks the record's body and attributes, and drops attributes beyond the limit. The SDK has no way to
/// change an attribute, so a record that is not clean is copied.
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

/// An empty record, which only a logger can create.
fn blank() -> SdkLogRecord {
    static LOGGER: LazyLock<SdkLogger> =
        LazyLock::new(|| SdkLoggerProvider::builder().build().logger("mask"));
    LOGGER.create_log_record()
}

fn any_value(key: &str, value: &AnyValue, limit: Limit) -> Option<AnyValue> {
    match value {
        AnyValue::String(string) => masked_text(key, string.as_str(), limit).map(AnyValue::from),
        AnyValue::Int(whole) => mask::integer(key, *whole).map(AnyValue::from),
        AnyValue::Double(float) => mask::float(key, *float).map(AnyValue::from),
        AnyValue::Bytes(bytes) => {
            let text = masked_text(key, &String::from_utf8_lossy(bytes), None)?;
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

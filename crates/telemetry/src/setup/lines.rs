//! Log lines on stdout, masked like all that leaves the process: JSON for machines, text for a person at a terminal. Both end
//! with the trace that the event belongs to.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::mask;

/// One JSON object a line: timestamp (RFC 3339, UTC), severity, target, message, the event's fields, trace_id and span_id.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let mut line = Map::new();
        line.insert("timestamp".into(), now().into());
        line.insert("severity".into(), metadata.level().as_str().into());
        line.insert("target".into(), metadata.target().into());
        event.record(&mut Fields(|name: &str, value: Value| {
            line.insert(name.to_owned(), value);
        }));
        if let Some((trace_id, span_id)) = current_ids() {
            line.insert("trace_id".into(), trace_id.into());
            line.insert("span_id".into(), span_id.into());
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

/// One line for a person: time, level, target, message and fields, and the trace at the end.
pub(super) struct TextLines;

impl<S, N> FormatEvent<S, N> for TextLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        let (color, reset) = match writer.has_ansi_escapes() {
            true => (color(*metadata.level()), "\u{1b}[0m"),
            false => ("", ""),
        };
        let level = metadata.level();
        write!(
            writer,
            "{} {color}{level:>5}{reset} {}:",
            now(),
            metadata.target()
        )?;
        let mut message = String::new();
        let mut fields = String::new();
        event.record(&mut Fields(|name: &str, value: Value| {
            // Writing into a String does not fail.
            let _ = match (name, value) {
                ("message", Value::String(text)) => write!(message, " {text}"),
                (_, Value::String(text)) => write!(fields, " {name}={text}"),
                (_, value) => write!(fields, " {name}={value}"),
            };
        }));
        write!(writer, "{message}{fields}")?;
        if let Some((trace_id, _)) = current_ids() {
            write!(writer, " trace_id={trace_id}")?;
        }
        writeln!(writer)
    }
}

fn color(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        _ => "\u{1b}[2m",
    }
}

/// Gives each field of an event to a function, masked.
struct Fields<F>(F);

impl<F: FnMut(&str, Value)> Fields<F> {
    fn text(&mut self, field: &Field, text: &str) {
        let masked = match field.name() {
            "message" => mask::text(text),
            name => mask::field(name, text, usize::MAX),
        };
        (self.0)(field.name(), Value::from(Cow::into_owned(masked)));
    }

    fn value(&mut self, field: &Field, value: impl Into<Value>, masked: Option<&str>) {
        let shown = masked.map_or_else(|| value.into(), Value::from);
        (self.0)(field.name(), shown);
    }
}

impl<F: FnMut(&str, Value)> Visit for Fields<F> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field, value, mask::number(field.name(), value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.value(field, value, mask::number(field.name(), value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.value(field, value, mask::float(field.name(), value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        (self.0)(field.name(), value.into());
    }
}

fn now() -> String {
    let mut text = String::new();
    // Writing into a String does not fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

fn current_ids() -> Option<(String, String)> {
    let context = Context::current();
    let span = context.span();
    let ids = span.span_context();
    ids.is_valid()
        .then(|| (ids.trace_id().to_string(), ids.span_id().to_string()))
}

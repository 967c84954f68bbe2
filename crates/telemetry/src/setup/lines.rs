//! Masked log lines on stdout: JSON for machines, text for a terminal. Both end with the event's trace.

use std::borrow::Cow;
use std::fmt::{self, Write as _};

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use serde::Serialize;
use serde_json::Value;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::event;
use crate::names;
use crate::propagation::hexadecimal;
use crate::span::current_request_id;

/// One JSON object a line: timestamp (RFC 3339, UTC), severity, target, event_name if the event was given
/// one, message, fields, trace_id, span_id.
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
        let (level, target) = event::origin(event);
        let mut object = JsonObject::new();
        object.add("timestamp", &now());
        object.add("severity", level.as_str());
        object.add("target", &*target);
        if let Some(name) = event::name(event) {
            object.add("event_name", name);
        }
        event.record(&mut Fields(|name: &str, value: Shown<'_>| {
            let name = if JsonObject::RESERVED.contains(&name) {
                Cow::Owned(format!("field.{name}"))
            } else {
                Cow::Borrowed(name)
            };
            match value {
                Shown::Text(text) => object.add(&name, &text),
                Shown::Value(value) => object.add(&name, &value),
            }
        }));
        if let Some(id) = current_request_id() {
            object.add(names::HTTP_REQUEST_ID, &mask::text(&id));
        }
        if let Some((trace_id, span_id)) = current_ids() {
            object.add("trace_id", &trace_id);
            object.add("span_id", &span_id);
        }
        writer.write_str(&object.end())
    }
}

/// A JSON object that is built member by member.
struct JsonObject(Vec<u8>);

impl JsonObject {
    /// The members of every line. An event's field of the same name becomes `field.{name}`.
    const RESERVED: [&str; 6] = [
        "timestamp",
        "severity",
        "target",
        "event_name",
        "trace_id",
        "span_id",
    ];

    fn new() -> Self {
        Self(Vec::with_capacity(512))
    }

    fn add<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) {
        self.0.push(if self.0.is_empty() { b'{' } else { b',' });
        // Serializing texts and numbers into memory does not fail.
        let _ = serde_json::to_writer(&mut self.0, name);
        self.0.push(b':');
        let _ = serde_json::to_writer(&mut self.0, value);
    }

    fn end(mut self) -> String {
        self.0.extend_from_slice(b"}\n");
        String::from_utf8(self.0).unwrap_or_default()
    }
}

/// One line of text: time, level, target, message, fields, event name, trace. A text cannot begin another
/// line, nor control the terminal.
pub(super) struct TextLines {
    pub(super) colored: bool,
}

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
        let (level, target) = event::origin(event);
        let (color, reset) = if self.colored {
            (color(level), "\u{1b}[0m")
        } else {
            ("", "")
        };
        write!(writer, "{} {color}{level:>5}{reset} {target}:", now())?;
        let mut message = String::new();
        let mut fields = String::new();
        event.record(&mut Fields(|name: &str, value: Shown<'_>| {
            // Writing into a String does not fail.
            let _ = match (name, value) {
                ("message", Shown::Text(text)) => write!(message, " {}", on_one_line(&text)),
                (_, Shown::Text(text)) => write!(fields, " {name}={}", on_one_line(&text)),
                (_, Shown::Value(value)) => write!(fields, " {name}={value}"),
            };
        }));
        write!(writer, "{message}{fields}")?;
        if let Some(name) = event::name(event) {
            write!(writer, " event_name={name}")?;
        }
        if let Some(id) = current_request_id() {
            write!(writer, " {}={}", names::HTTP_REQUEST_ID, mask::text(&id))?;
        }
        if let Some((trace_id, _)) = current_ids() {
            write!(writer, " trace_id={trace_id}")?;
        }
        writeln!(writer)
    }
}

/// The current time: RFC 3339, UTC, with microseconds.
fn now() -> String {
    let mut text = String::with_capacity("2026-01-31T12:00:00.000000Z".len());
    // Writing into a String does not fail.
    let _ = SystemTime.format_time(&mut Writer::new(&mut text));
    text
}

/// Escapes control characters, such as line breaks and those that begin a terminal's commands.
fn on_one_line(text: &str) -> Cow<'_, str> {
    if !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    Cow::Owned(line)
}

fn color(level: Level) -> &'static str {
    match level {
        Level::ERROR => "\u{1b}[31m",
        Level::WARN => "\u{1b}[33m",
        Level::INFO => "\u{1b}[32m",
        _ => "\u{1b}[2m",
    }
}

/// A field's value after masking.
enum Shown<'a> {
    Text(Cow<'a, str>),
    /// A number or a boolean.
    Value(Value),
}

/// Passes each field of an event to a function, masked.
struct Fields<F>(F);

impl<F: FnMut(&str, Shown<'_>)> Fields<F> {
    fn text(&mut self, field: &Field, text: &str) {
        if event::is_of_log_crate(field.name()) {
            return;
        }
        let masked = match field.name() {
            "message" => mask::text(text),
            name => mask::field(name, text, usize::MAX),
        };
        (self.0)(field.name(), Shown::Text(masked));
    }

    fn value(&mut self, field: &Field, value: impl Into<Value>, masked: Option<&'static str>) {
        if event::is_of_log_crate(field.name()) {
            return;
        }
        let shown = match masked {
            Some(masked) => Shown::Text(masked.into()),
            None => Shown::Value(value.into()),
        };
        (self.0)(field.name(), shown);
    }
}

impl<F: FnMut(&str, Shown<'_>)> Visit for Fields<F> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.text(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.text(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.value(field, value, mask::integer(field.name(), value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.value(field, value, mask::integer(field.name(), value));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.value(field, value, mask::float(field.name(), value));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.value(field, value, None);
    }
}

fn current_ids() -> Option<(String, String)> {
    let context = Context::current();
    let span = context.span();
    let ids = span.span_context();
    ids.is_valid().then(|| {
        (
            hexadecimal(&ids.trace_id().to_bytes()),
            hexadecimal(&ids.span_id().to_bytes()),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Mutex;

    use tracing_subscriber::Registry;
    use tracing_subscriber::fmt::format::DefaultFields;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    /// The line of the event that `emit` emits.
    fn line(emit: impl FnOnce()) -> Value {
        serde_json::from_str(&line_as(JsonLines, emit)).unwrap()
    }

    fn line_as<F>(format: F, emit: impl FnOnce()) -> String
    where
        F: FormatEvent<Registry, DefaultFields> + Send + Sync + 'static,
    {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let lines = tracing_subscriber::fmt::layer()
            .with_ansi(false)
            .event_format(format)
            .with_writer(Mutex::new(writer));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), emit);
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        text
    }

    #[test]
    fn a_text_neither_begins_a_line_nor_controls_the_terminal() {
        let line = line_as(TextLines { colored: false }, || {
            tracing::info!(name = "a\nINFO: forged", "b\r\n\u{1b}[2J\u{9b}31m\tz");
        });
        assert!(
            !line.trim_end_matches('\n').contains(char::is_control),
            "{line:?}"
        );
        assert!(
            line.contains(r"b\r\n\u{1b}[2J\u{9b}31m\tz name=a\nINFO: forged"),
            "{line}"
        );
    }

    #[test]
    fn a_line_has_the_events_name_if_it_was_given_one() {
        let lost = || tracing::warn!(name: "parcel.lost", event_name = "other", "lost");
        let json = line(lost);
        assert_eq!(json["event_name"], "parcel.lost");
        assert_eq!(json["field.event_name"], "other");
        assert!(line_as(TextLines { colored: false }, lost).contains(" event_name=parcel.lost"));
        assert_eq!(line(|| tracing::info!("found")).get("event_name"), None);
    }

    #[test]
    fn a_line_is_one_object_for_all_field_values() {
        let line = line(|| {
            tracing::info!(
                text = "a \"quoted\"\nline \u{1}",
                huge = f64::INFINITY,
                amount = 99.5,
                paid = true,
                debug = ?Some("x"),
                "order created"
            );
        });
        assert_eq!(line["message"], "order created");
        assert_eq!(line["text"], "a \"quoted\"\nline \u{1}");
        assert_eq!(line["huge"], Value::Null);
        assert_eq!(line["amount"], 99.5);
        assert_eq!(line["paid"], true);
        assert_eq!(line["debug"], "Some(\"x\")");
    }

    #[test]
    fn a_field_does_not_replace_a_reserved_member() {
        let line = line(|| tracing::warn!(severity = "low", timestamp = 7, "late"));
        assert_eq!(line["severity"], "WARN");
        assert_eq!(line["field.severity"], "low");
        assert_eq!(line["field.timestamp"], 7);
    }
}

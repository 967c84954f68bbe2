//! The tracing subscriber: the service's own spans go to OpenTelemetry, events become log records and lines on stdout, both
//! with the trace they belong to. Events never become span events, which the conventions deprecate.

use std::fmt;
use std::io::IsTerminal;

use opentelemetry::Context;
use opentelemetry::trace::TraceContextExt;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracer;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::filter::{FilterFn, filter_fn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::SetupError;
use super::settings::OtelSettings;

/// Crates whose spans and events come from exporting itself, or say nothing of the service. Exporting them feeds on itself.
const SILENT: &[&str] = &[
    "actix",
    "h2",
    "hyper",
    "mio",
    "opentelemetry",
    "reqwest",
    "rustls",
    "tonic",
    "tower",
    "tokio",
];

pub(super) fn install(
    settings: &OtelSettings,
    tracer: Option<SdkTracer>,
    logger: Option<&SdkLoggerProvider>,
) -> Result<(), SetupError> {
    let level = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let lines = match settings.environment.as_str() {
        "development" => tracing_subscriber::fmt::layer()
            .event_format(TextLines)
            .with_ansi(std::io::stdout().is_terminal())
            .boxed(),
        _ => tracing_subscriber::fmt::layer()
            .event_format(JsonLines)
            .boxed(),
    };
    let spans = tracer.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(filter_fn(|metadata| {
                metadata.is_span() && is_ours(metadata)
            }))
    });
    let records = logger.map(|provider| {
        let ours: FilterFn = filter_fn(|metadata| metadata.is_event() && is_ours(metadata));
        OpenTelemetryTracingBridge::new(provider).with_filter(ours)
    });
    tracing_subscriber::registry()
        .with(level)
        .with(spans)
        .with(records)
        .with(lines)
        .try_init()
        .map_err(|_| SetupError::SubscriberInstalled)
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    let root = metadata.target().split("::").next().unwrap_or_default();
    let silent = SILENT.iter().any(|name| {
        root.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '-']))
    });
    !silent && *metadata.level() <= Level::INFO
}

/// One JSON object a line: timestamp (RFC 3339, UTC), severity, target, message, the event's fields, trace_id and span_id.
struct JsonLines;

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
        event.record(&mut JsonFields(&mut line));
        if let Some((trace_id, span_id)) = current_ids() {
            line.insert("trace_id".into(), trace_id.into());
            line.insert("span_id".into(), span_id.into());
        }
        writeln!(writer, "{}", Value::Object(line))
    }
}

struct JsonFields<'a>(&'a mut Map<String, Value>);

impl Visit for JsonFields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0
            .insert(field.name().into(), format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.0.insert(field.name().into(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().into(), value.into());
    }
}

/// One line for a person: time, level, target, message and fields, and the trace at the end.
struct TextLines;

impl<S, N> FormatEvent<S, N> for TextLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let metadata = event.metadata();
        write!(
            writer,
            "{} {:>5} {}: ",
            now(),
            metadata.level(),
            metadata.target()
        )?;
        context
            .field_format()
            .format_fields(writer.by_ref(), event)?;
        if let Some((trace_id, _)) = current_ids() {
            write!(writer, " trace_id={trace_id}")?;
        }
        writeln!(writer)
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

//! The tracing subscriber: the service's own spans go to OpenTelemetry, events become log records and lines on stdout, both
//! with the trace they belong to. Events never become span events, which the conventions deprecate.
//!
//! `RUST_LOG` governs records and lines. Which spans are made is not its business: a service that logs warnings only still has
//! whole traces.

use std::io::IsTerminal;

use opentelemetry::Context;
use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{DynFilterFn, FilterExt, FilterFn, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Context as LayerContext, Filter, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use super::SetupError;
use super::lines::{JsonLines, TextLines};
use super::settings::OtelSettings;
use crate::operation::is_unsampled;
use crate::span::Untraced;

/// Crates that do the exporting. A record of what they say would have to be exported too, and so on without an end.
const EXPORTING: &[&str] = &[
    "h2",
    "hyper",
    "mio",
    "opentelemetry",
    "reqwest",
    "rustls",
    "tokio_rustls",
    "tokio_util",
    "tonic",
    "tower",
    "want",
];
/// Crates that make spans of their own, which our integrations make better.
const FRAMEWORKS: &[&str] = &[
    "actix_http",
    "actix_server",
    "actix_web",
    "apalis",
    "apalis_core",
    "apalis_redis",
    "diesel",
    "diesel_async",
    "redis",
];

pub(super) fn install(
    settings: &OtelSettings,
    tracer: Option<SdkTracer>,
    logger: Option<&SdkLoggerProvider>,
) -> Result<(), SetupError> {
    // The level was checked when it was read.
    let level = || EnvFilter::new(&settings.log_level);
    let wanted = wanted(tracer.is_some(), &level());
    let spans = tracer.map(|tracer| {
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_target(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_error_records_to_exceptions(false)
            .with_error_fields_to_exceptions(false)
            .with_filter(spans_of_the_service())
    });
    let records = logger.map(|provider| {
        let exportable = filter_fn(|metadata| metadata.is_event() && !is_exporting(root(metadata)));
        OpenTelemetryTracingBridge::new(provider).with_filter(exportable.and(level()))
    });
    let printable = filter_fn(|metadata| metadata.is_event() && !is_told_by_us(metadata));
    let lines = match settings.environment.as_str() {
        "development" => tracing_subscriber::fmt::layer()
            .event_format(TextLines)
            .with_ansi(std::io::stdout().is_terminal())
            .boxed(),
        _ => tracing_subscriber::fmt::layer().event_format(JsonLines).boxed(),
    };
    tracing_subscriber::registry()
        .with(spans)
        .with(records)
        .with(lines.with_filter(printable.and(level())))
        .with(wanted)
        .try_init()
        .map_err(|_| SetupError::SubscriberInstalled)
}

/// What any layer takes. The registry does not conclude it from the layers' own filters: it would keep spans that no layer takes,
/// and have every `trace!` of every crate ask all filters.
fn wanted(spans: bool, events: &EnvFilter) -> FilterFn<impl Fn(&Metadata<'_>) -> bool + use<>> {
    let spans = match spans {
        true => LevelFilter::INFO,
        false => LevelFilter::OFF,
    };
    let events = events.max_level_hint().unwrap_or(LevelFilter::TRACE);
    filter_fn(move |metadata| {
        let most = match metadata.is_span() {
            true => spans,
            false => events,
        };
        *metadata.level() <= most
    })
    .with_max_level_hint(spans.max(events))
}

/// Spans of level INFO and above that are not a framework's, except inside [`crate::span::untraced`] and in traces that are not
/// recorded.
fn spans_of_the_service<S: Subscriber>() -> impl Filter<S> {
    fn is_ours(metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
            && *metadata.level() <= Level::INFO
            && !is_exporting(root(metadata))
            && !FRAMEWORKS.contains(&root(metadata))
    }
    DynFilterFn::new(|metadata, _: &LayerContext<'_, S>| {
        let is_seen = |context: &Context| context.get::<Untraced>().is_none() && !is_unsampled(context);
        is_ours(metadata) && Context::map_current(is_seen)
    })
    .with_callsite_filter(|metadata| match is_ours(metadata) {
        true => Interest::sometimes(),
        false => Interest::never(),
    })
    .with_max_level_hint(Level::INFO)
}

/// Whether the crate takes part in exporting. tokio itself does, but not every crate that is named after it, such as
/// `tokio_postgres`.
fn is_exporting(root: &str) -> bool {
    root == "tokio" || is_one_of(EXPORTING, root)
}

/// Whether it is one of these crates, or one named after it: `hyper`, `hyper_util`, `opentelemetry-otlp`.
fn is_one_of(crates: &[&str], root: &str) -> bool {
    crates.iter().any(|name| {
        root.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '-']))
    })
}

/// The crate that an event or span comes from.
fn root<'a>(metadata: &Metadata<'a>) -> &'a str {
    metadata.target().split(':').next().unwrap_or_default()
}

/// The SDK writes a line for each failed export; [`crate::export`] says it once a minute.
fn is_told_by_us(metadata: &Metadata<'_>) -> bool {
    const PREFIXES: [&str; 3] = ["Batch", "Export.Failed", "Periodic"];
    is_one_of(&["opentelemetry"], root(metadata))
        && *metadata.level() <= Level::WARN
        && PREFIXES.iter().any(|prefix| metadata.name().starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_layer_takes_is_seen_by_its_level() {
        for (spans, directives, most) in [
            (true, "warn", LevelFilter::INFO),
            (false, "warn", LevelFilter::WARN),
            (false, "off", LevelFilter::OFF),
            (true, "info,shop=debug", LevelFilter::DEBUG),
        ] {
            let wanted = wanted(spans, &EnvFilter::new(directives));
            let lines = tracing_subscriber::fmt::layer()
                .with_filter(filter_fn(|_| true).and(EnvFilter::new(directives)));
            let subscriber = tracing_subscriber::registry().with(lines).with(wanted);
            assert_eq!(subscriber.max_level_hint(), Some(most), "{directives}");
        }
    }

    #[test]
    fn what_does_the_exporting_is_told_from_what_only_sounds_like_it() {
        for root in [
            "hyper_util",
            "opentelemetry-otlp",
            "tokio",
            "tokio_util",
            "tower_http",
        ] {
            assert!(is_exporting(root), "{root}");
        }
        for root in ["tokio_postgres", "towering", "throughline_api", ""] {
            assert!(!is_exporting(root), "{root}");
        }
    }
}

//! The tracing subscriber: the service's own spans go to OpenTelemetry, events become log records and lines
//! on stdout, both with their trace. Events never become span events, which the conventions deprecate.
//!
//! `RUST_LOG` filters records and lines, not spans: a service that logs only warnings still has whole traces.

use std::io::IsTerminal;

use opentelemetry::Context;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::trace::SdkTracer;
use tracing::subscriber::Interest;
use tracing::{Level, Metadata, Subscriber};
use tracing_subscriber::filter::{DynFilterFn, FilterExt, FilterFn, LevelFilter, filter_fn};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::{Context as LayerContext, Filter, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry};

use super::configuration::Configuration;
use super::error::SetupError;
use super::lines::{JsonLines, TextLines};
use super::records::Records;
use crate::operation::is_unsampled;
use crate::span::Untraced;

/// Crates whose spans are left out: the integrations here make better ones.
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

/// A layer for a subscriber of the program's own.
pub type BoxedLayer<S> = Box<dyn Layer<S> + Send + Sync>;

/// Where lines are written to.
pub(super) enum Lines {
    Stdout,
    To(BoxMakeWriter),
    None,
}

/// What the layers are made from.
pub(super) struct Outputs {
    pub(super) tracer: Option<SdkTracer>,
    pub(super) logger: Option<SdkLoggerProvider>,
    pub(super) lines: Lines,
}

/// `added` are layers of the program.
pub(super) fn install(
    configuration: &Configuration,
    outputs: Outputs,
    added: Vec<BoxedLayer<Registry>>,
) -> Result<(), SetupError> {
    let max_level = max_level(outputs.tracer.is_some(), &level(configuration));
    let installed = if added.is_empty() {
        let Outputs {
            tracer,
            logger,
            lines,
        } = outputs;
        tracing_subscriber::registry()
            .with(tracer.map(spans))
            .with(logger.map(|provider| records(configuration, &provider)))
            .with(line_layer(configuration, lines))
            .with(max_level)
            .try_init()
    } else {
        // The program's layers may take more than the others.
        let layers = layers(configuration, outputs);
        tracing_subscriber::registry().with(added).with(layers).try_init()
    };
    installed.map_err(|_| SetupError::SubscriberInstalled)
}

/// The layers, for a subscriber of the program's own.
pub(super) fn layers<S>(configuration: &Configuration, outputs: Outputs) -> Vec<BoxedLayer<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let Outputs {
        tracer,
        logger,
        lines,
    } = outputs;
    let spans = tracer.map(|tracer| spans(tracer).boxed());
    let records = logger.map(|provider| records(configuration, &provider).boxed());
    let lines = line_layer(configuration, lines).map(Layer::boxed);
    [spans, records, lines].into_iter().flatten().collect()
}

/// The configuration has checked the directives.
fn level(configuration: &Configuration) -> EnvFilter {
    EnvFilter::new(&configuration.log_level)
}

fn spans<S>(tracer: SdkTracer) -> impl Layer<S> + Send + Sync
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    tracing_opentelemetry::layer()
        .with_tracer(tracer)
        .with_location(false)
        .with_target(false)
        .with_threads(false)
        .with_tracked_inactivity(false)
        .with_error_records_to_exceptions(false)
        .with_error_fields_to_exceptions(false)
        .with_filter(service_spans())
}

fn records<S>(
    configuration: &Configuration,
    provider: &SdkLoggerProvider,
) -> impl Layer<S> + Send + Sync + use<S>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let recordable = filter_fn(|metadata| metadata.is_event() && !is_of_sdk(metadata));
    Records::new(provider, configuration.log_limits).with_filter(recordable.and(level(configuration)))
}

fn line_layer<S>(configuration: &Configuration, lines: Lines) -> Option<impl Layer<S> + Send + Sync + use<S>>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    let is_text = configuration.environment == "development";
    let layer = tracing_subscriber::fmt::layer().with_ansi(false);
    let layer = match lines {
        Lines::None => return None,
        Lines::Stdout if is_text => layer
            .event_format(TextLines {
                colored: std::io::stdout().is_terminal(),
            })
            .boxed(),
        Lines::Stdout => layer.event_format(JsonLines).boxed(),
        Lines::To(writer) if is_text => layer
            .event_format(TextLines { colored: false })
            .with_writer(writer)
            .boxed(),
        Lines::To(writer) => layer.event_format(JsonLines).with_writer(writer).boxed(),
    };
    let printable = filter_fn(|metadata| metadata.is_event() && !is_reported_by_export(metadata));
    Some(layer.with_filter(printable.and(level(configuration))))
}

/// Filters by the highest level that any layer takes. Without it the registry stores spans that no layer
/// takes, and every `trace!` of every crate is passed to all filters.
fn max_level(spans: bool, events: &EnvFilter) -> FilterFn<impl Fn(&Metadata<'_>) -> bool + use<>> {
    let spans = if spans {
        LevelFilter::INFO
    } else {
        LevelFilter::OFF
    };
    let events = events.max_level_hint().unwrap_or(LevelFilter::TRACE);
    filter_fn(move |metadata| *metadata.level() <= if metadata.is_span() { spans } else { events })
        .with_max_level_hint(spans.max(events))
}

/// Takes the service's spans from INFO up, not inside [`crate::span::untraced`], an unsampled trace or an
/// export.
fn service_spans<S: Subscriber>() -> impl Filter<S> {
    fn is_service_span(metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && *metadata.level() <= Level::INFO && !FRAMEWORKS.contains(&root(metadata))
    }
    DynFilterFn::new(|metadata, _: &LayerContext<'_, S>| {
        let is_recorded = |context: &Context| {
            context.get::<Untraced>().is_none()
                && !is_unsampled(context)
                && !context.is_telemetry_suppressed()
        };
        is_service_span(metadata) && Context::map_current(is_recorded)
    })
    .with_callsite_filter(|metadata| {
        if is_service_span(metadata) {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    })
    .with_max_level_hint(Level::INFO)
}

/// The crate that an event or span comes from.
fn root<'a>(metadata: &Metadata<'a>) -> &'a str {
    metadata.target().split(':').next().unwrap_or_default()
}

/// Whether it comes from OpenTelemetry's own crates. Their messages are for stdout.
fn is_of_sdk(metadata: &Metadata<'_>) -> bool {
    let rest = root(metadata).strip_prefix("opentelemetry");
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['_', '-']))
}

/// Whether it is the SDK's line about a failed export, which [`crate::export`] reports once a minute.
fn is_reported_by_export(metadata: &Metadata<'_>) -> bool {
    const PREFIXES: [&str; 3] = ["Batch", "Export.Failed", "Periodic"];
    is_of_sdk(metadata)
        && *metadata.level() <= Level::WARN
        && PREFIXES.iter().any(|prefix| metadata.name().starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_that_no_layer_takes_are_filtered_by_level() {
        for (spans, directives, max) in [
            (true, "warn", LevelFilter::INFO),
            (false, "warn", LevelFilter::WARN),
            (false, "off", LevelFilter::OFF),
            (true, "info,shop=debug", LevelFilter::DEBUG),
        ] {
            let max_level = max_level(spans, &EnvFilter::new(directives));
            let lines = tracing_subscriber::fmt::layer()
                .with_filter(filter_fn(|_| true).and(EnvFilter::new(directives)));
            let subscriber = tracing_subscriber::registry().with(lines).with(max_level);
            assert_eq!(subscriber.max_level_hint(), Some(max), "{directives}");
        }
    }
}

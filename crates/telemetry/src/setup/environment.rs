//! Reads and checks `OTEL_*`, `ENVIRONMENT` and `RUST_LOG`. The SDK reads some of them too, but ignores an
//! invalid value; here it is an error.

use std::time::Duration;

use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::propagation::BaggagePropagator;
use opentelemetry_sdk::trace::{Sampler, SpanLimits};
use settings::{Env, SettingError};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::exporter::Exporter;
use super::limits::{self, Batch};
use super::sampling;
use super::signal::{self, Signal};
use crate::masking::RecordLimits;
use crate::propagation::TraceContextPropagator;

#[derive(Debug)]
pub(super) struct Environment {
    pub(super) traces: Exporter,
    pub(super) metrics: Exporter,
    pub(super) logs: Exporter,
    pub(super) sampler: Sampler,
    pub(super) span_limits: SpanLimits,
    pub(super) span_value_length: Option<usize>,
    pub(super) log_limits: RecordLimits,
    pub(super) span_batch: Batch,
    pub(super) log_batch: Batch,
    pub(super) metric_interval: Duration,
    pub(super) temporality: Temporality,
    /// `ENVIRONMENT`, such as `production`.
    pub(super) name: String,
    /// The directives of `RUST_LOG` and `OTEL_LOG_LEVEL`.
    pub(super) log_level: String,
    /// Variables that are set without effect, and the reason.
    pub(super) ignored: Vec<(&'static str, &'static str)>,
    pub(super) propagator: TextMapCompositePropagator,
}

impl Environment {
    pub(super) fn from_env(env: &Env) -> Result<Self, SettingError> {
        let disabled = env.flag_or("OTEL_SDK_DISABLED", false)?;
        let exporter = |signal: &Signal| {
            if disabled {
                Ok(Exporter::None)
            } else {
                Exporter::from_env(env, signal)
            }
        };
        Ok(Self {
            traces: exporter(&signal::TRACES)?,
            metrics: exporter(&signal::METRICS)?,
            logs: exporter(&signal::LOGS)?,
            sampler: sampling::from_env(env)?,
            span_limits: limits::spans(env)?,
            span_value_length: limits::span_value_length(env)?,
            log_limits: limits::log_records(env)?,
            span_batch: Batch::from_env(env, &limits::SPANS)?,
            log_batch: Batch::from_env(env, &limits::LOGS)?,
            metric_interval: limits::milliseconds(env, "OTEL_METRIC_EXPORT_INTERVAL", 60_000)?,
            temporality: read_temporality(env)?,
            name: env.get("ENVIRONMENT").unwrap_or("development").to_owned(),
            log_level: read_log_level(env)?,
            ignored: read_ignored(env),
            propagator: read_propagators(env)?,
        })
    }
}

/// Variables without effect, the value that needs no warning since it is what happens, and the reason.
const IGNORED: [[&str; 3]; 3] = [
    [
        "OTEL_METRICS_EXEMPLAR_FILTER",
        "always_off",
        "the SDK records no exemplars",
    ],
    [
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        "explicit_bucket_histogram",
        "histograms have the buckets of the conventions",
    ],
    [
        "OTEL_CONFIG_FILE",
        "",
        "the configuration comes from the environment",
    ],
];

fn read_ignored(env: &Env) -> Vec<(&'static str, &'static str)> {
    let is_other = |name, actual| {
        env.get(name)
            .is_some_and(|value| !value.eq_ignore_ascii_case(actual))
    };
    let ignored = |[name, actual, reason]: [_; 3]| is_other(name, actual).then_some((name, reason));
    IGNORED.into_iter().filter_map(ignored).collect()
}

fn read_temporality(env: &Env) -> Result<Temporality, SettingError> {
    const NAME: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";
    let preference = env.get(NAME).unwrap_or("cumulative");
    match preference.to_ascii_lowercase().as_str() {
        "cumulative" => Ok(Temporality::Cumulative),
        "delta" => Ok(Temporality::Delta),
        "lowmemory" => Ok(Temporality::LowMemory),
        _ => Err(SettingError::bad(
            NAME,
            preference,
            "cumulative, delta or lowmemory",
        )),
    }
}

fn read_log_level(env: &Env) -> Result<String, SettingError> {
    const NAME: &str = "RUST_LOG";
    let level = env.get(NAME).unwrap_or("info");
    let takes = "a level, or a list such as info,my_crate=debug";
    if EnvFilter::try_new(level).is_err() {
        return Err(SettingError::bad(NAME, level, takes));
    }
    Ok(match read_sdk_log_level(env)? {
        Some(sdk_level) => format!("{level},opentelemetry={sdk_level}"),
        None => level.to_owned(),
    })
}

/// The level of the SDK's own log lines. The names of its crates all start with `opentelemetry`.
fn read_sdk_log_level(env: &Env) -> Result<Option<LevelFilter>, SettingError> {
    const NAME: &str = "OTEL_LOG_LEVEL";
    let read = |level: &str| match level.to_ascii_lowercase().as_str() {
        "none" => Ok(LevelFilter::OFF),
        level => level.parse(),
    };
    let takes = "none, error, warn, info, debug or trace";
    env.get(NAME)
        .map(|level| read(level).map_err(|_| SettingError::bad(NAME, level, takes)))
        .transpose()
}

fn read_propagators(env: &Env) -> Result<TextMapCompositePropagator, SettingError> {
    const NAME: &str = "OTEL_PROPAGATORS";
    let list = env.get(NAME).unwrap_or("tracecontext,baggage");
    let read = |word: &str| -> Result<Box<dyn TextMapPropagator + Send + Sync>, _> {
        match word.trim().to_ascii_lowercase().as_str() {
            "tracecontext" => Ok(Box::new(TraceContextPropagator)),
            "baggage" => Ok(Box::new(BaggagePropagator::new())),
            _ => Err(SettingError::bad(
                NAME,
                list,
                "a list of tracecontext and baggage, or none",
            )),
        }
    };
    let is_none = list.eq_ignore_ascii_case("none");
    let words = list.split(',').filter(|_| !is_none);
    Ok(TextMapCompositePropagator::new(
        words.map(read).collect::<Result<_, _>>()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::Encoding;
    use crate::setup::otlp::Protocol;

    #[test]
    fn a_signals_own_protocol_overrides_the_common_one() {
        let env = Env::of([
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
            ("OTEL_METRICS_EXPORTER", "none"),
        ]);
        let environment = Environment::from_env(&env).unwrap();
        let protocol = |exporter: &Exporter| match exporter {
            Exporter::Otlp(otlp) => Some(otlp.protocol),
            _ => None,
        };
        assert_eq!(protocol(&environment.traces), Some(Protocol::Grpc));
        assert_eq!(protocol(&environment.logs), Some(Protocol::Http(Encoding::Json)));
        assert_eq!(protocol(&environment.metrics), None);
    }

    #[test]
    fn words_are_accepted_in_any_case() {
        let env = Env::of([
            ("OTEL_TRACES_EXPORTER", "Console"),
            ("OTEL_METRICS_EXPORTER", "NONE"),
            ("OTEL_PROPAGATORS", "TraceContext"),
            ("OTEL_LOG_LEVEL", "DEBUG"),
            ("RUST_LOG", "warn"),
        ]);
        let environment = Environment::from_env(&env).unwrap();
        assert!(matches!(environment.traces, Exporter::Console));
        assert!(matches!(environment.metrics, Exporter::None));
        let mut fields: Vec<_> = environment.propagator.fields().collect();
        fields.sort_unstable();
        assert_eq!(fields, ["traceparent", "tracestate"]);
        assert_eq!(environment.log_level, "warn,opentelemetry=debug");
    }

    #[test]
    fn a_disabled_sdk_has_no_exporter() {
        let env = Env::of([("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_EXPORTER", "console")]);
        let environment = Environment::from_env(&env).unwrap();
        assert!(matches!(environment.traces, Exporter::None));
    }

    #[test]
    fn an_invalid_value_is_named_with_what_is_accepted() {
        let error = |name, value| {
            Environment::from_env(&Env::of([(name, value)]))
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            error("OTEL_TRACES_EXPORTER", "jaeger"),
            "OTEL_TRACES_EXPORTER: got `jaeger`; takes otlp, console or none"
        );
        for (name, value) in [
            ("OTEL_PROPAGATORS", "b3"),
            ("OTEL_SDK_DISABLED", "maybe"),
            ("OTEL_METRIC_EXPORT_INTERVAL", "1m"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "both"),
            ("RUST_LOG", "info,=="),
            ("OTEL_LOG_LEVEL", "loud"),
            ("OTEL_BSP_EXPORT_TIMEOUT", "0"),
            ("OTEL_METRIC_EXPORT_TIMEOUT", "30s"),
            ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "-1"),
        ] {
            assert!(error(name, value).starts_with(&format!("{name}: got `{value}`; takes ")));
        }
    }
}

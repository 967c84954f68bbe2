//! All that `OTEL_*`, `ENVIRONMENT` and `RUST_LOG` say, read once and checked. The SDK would read a part of them by itself and
//! take no notice of a wrong value; here a wrong value is an error.

use std::time::Duration;

use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::propagation::BaggagePropagator;
use opentelemetry_sdk::trace::{Sampler, SpanLimits};
use settings::{Env, SettingError};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::limits::{self, Batch};
use super::otlp::{self, Otlp, Variables};
use super::sampling;
use crate::masking::RecordLimits;
use crate::propagation::TraceContextPropagator;

/// Where a signal goes.
#[derive(Debug)]
pub(super) enum Exporter {
    Otlp(Box<Otlp>),
    Console,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Propagator {
    TraceContext,
    Baggage,
}

#[derive(Debug)]
pub(super) struct OtelSettings {
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
    pub(super) environment: String,
    /// What `RUST_LOG` and `OTEL_LOG_LEVEL` let through.
    pub(super) log_level: String,
    /// What is set and has no effect, and why.
    pub(super) ignored: Vec<Ignored>,
    propagators: Vec<Propagator>,
}

impl OtelSettings {
    pub(super) fn from_env(env: &Env) -> Result<Self, SettingError> {
        let disabled = env.flag_or("OTEL_SDK_DISABLED", false)?;
        let exporter = |variables| match disabled {
            true => Ok(Exporter::None),
            false => read_exporter(env, variables),
        };
        Ok(Self {
            traces: exporter(&otlp::TRACES)?,
            metrics: exporter(&otlp::METRICS)?,
            logs: exporter(&otlp::LOGS)?,
            sampler: sampling::from_env(env)?,
            span_limits: limits::spans(env)?,
            span_value_length: limits::span_texts(env)?,
            log_limits: limits::log_records(env)?,
            span_batch: Batch::from_env(env, &limits::SPANS)?,
            log_batch: Batch::from_env(env, &limits::LOGS)?,
            metric_interval: limits::milliseconds(env, "OTEL_METRIC_EXPORT_INTERVAL", 60_000)?,
            temporality: read_temporality(env)?,
            environment: env.get("ENVIRONMENT").unwrap_or("development").to_owned(),
            log_level: read_log_level(env)?,
            ignored: read_ignored(env),
            propagators: read_propagators(env)?,
        })
    }

    pub(super) fn propagator(&self) -> TextMapCompositePropagator {
        let boxed = |propagator: &Propagator| -> Box<dyn TextMapPropagator + Send + Sync> {
            match propagator {
                Propagator::TraceContext => Box::new(TraceContextPropagator),
                Propagator::Baggage => Box::new(BaggagePropagator::new()),
            }
        };
        TextMapCompositePropagator::new(self.propagators.iter().map(boxed).collect())
    }
}

/// A variable of the specification that has no effect here, the value that says what is so anyway, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ignored {
    pub(super) name: &'static str,
    as_it_is: &'static str,
    pub(super) why: &'static str,
}

const IGNORED: [Ignored; 3] = [
    Ignored {
        name: "OTEL_METRICS_EXEMPLAR_FILTER",
        as_it_is: "always_off",
        why: "the SDK makes no exemplars",
    },
    Ignored {
        name: "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        as_it_is: "explicit_bucket_histogram",
        why: "histograms have the buckets of the conventions",
    },
    Ignored {
        name: "OTEL_CONFIG_FILE",
        as_it_is: "",
        why: "the configuration is that of the environment",
    },
];

fn read_ignored(env: &Env) -> Vec<Ignored> {
    let is_ignored = |it: &Ignored| {
        env.get(it.name)
            .is_some_and(|value| !value.eq_ignore_ascii_case(it.as_it_is))
    };
    IGNORED.into_iter().filter(is_ignored).collect()
}

fn read_exporter(env: &Env, variables: &Variables) -> Result<Exporter, SettingError> {
    let exporter = env.get(variables.exporter).unwrap_or("otlp");
    match exporter.to_ascii_lowercase().as_str() {
        "otlp" => Ok(Exporter::Otlp(Box::new(Otlp::from_env(env, variables)?))),
        "console" => Ok(Exporter::Console),
        "none" => Ok(Exporter::None),
        _ => Err(SettingError::bad(
            variables.exporter,
            exporter,
            "otlp, console or none",
        )),
    }
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
        Some(of_sdk) => format!("{level},opentelemetry={of_sdk}"),
        None => level.to_owned(),
    })
}

/// How much the SDK says of itself. Its crates' names all start with `opentelemetry`.
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

fn read_propagators(env: &Env) -> Result<Vec<Propagator>, SettingError> {
    const NAME: &str = "OTEL_PROPAGATORS";
    let list = env.get(NAME).unwrap_or("tracecontext,baggage");
    if list.eq_ignore_ascii_case("none") {
        return Ok(Vec::new());
    }
    let read = |word: &str| match word.trim().to_ascii_lowercase().as_str() {
        "tracecontext" => Ok(Propagator::TraceContext),
        "baggage" => Ok(Propagator::Baggage),
        _ => Err(SettingError::bad(
            NAME,
            list,
            "a list of tracecontext and baggage, or none",
        )),
    };
    list.split(',').map(read).collect()
}

#[cfg(test)]
mod tests {
    use opentelemetry_otlp::Protocol;

    use super::*;

    #[test]
    fn a_signals_own_protocol_wins() {
        let env = Env::of([
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
            ("OTEL_METRICS_EXPORTER", "none"),
        ]);
        let settings = OtelSettings::from_env(&env).unwrap();
        let protocol = |exporter: &Exporter| match exporter {
            Exporter::Otlp(otlp) => Some(otlp.protocol),
            _ => None,
        };
        assert_eq!(protocol(&settings.traces), Some(Protocol::Grpc));
        assert_eq!(protocol(&settings.logs), Some(Protocol::HttpJson));
        assert_eq!(protocol(&settings.metrics), None);
    }

    #[test]
    fn words_are_taken_in_any_case() {
        let env = Env::of([
            ("OTEL_TRACES_EXPORTER", "Console"),
            ("OTEL_METRICS_EXPORTER", "NONE"),
            ("OTEL_PROPAGATORS", "TraceContext"),
            ("OTEL_LOG_LEVEL", "DEBUG"),
            ("RUST_LOG", "warn"),
        ]);
        let settings = OtelSettings::from_env(&env).unwrap();
        assert!(matches!(settings.traces, Exporter::Console));
        assert!(matches!(settings.metrics, Exporter::None));
        assert_eq!(settings.propagators, [Propagator::TraceContext]);
        assert_eq!(settings.log_level, "warn,opentelemetry=debug");
    }

    #[test]
    fn disabled_means_no_exporter_whatever_else_is_set() {
        let env = Env::of([("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_EXPORTER", "console")]);
        let settings = OtelSettings::from_env(&env).unwrap();
        assert!(matches!(settings.traces, Exporter::None));
    }

    #[test]
    fn a_wrong_value_is_named_with_what_is_accepted() {
        let error = |name, value| {
            OtelSettings::from_env(&Env::of([(name, value)]))
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

//! All that `OTEL_*`, `ENVIRONMENT` and `RUST_LOG` say, read once and checked. The SDK would read a part of them by itself and
//! take no notice of a wrong value; here a wrong value is an error.

use std::time::Duration;

use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry_sdk::metrics::Temporality;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use opentelemetry_sdk::trace::{Sampler, SpanLimits};
use settings::{Env, SettingError};
use tracing_subscriber::EnvFilter;

use super::limits::{self, Batch};
use super::otlp::{self, Otlp, Variables};
use super::sampling;

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
    pub(super) log_value_length: Option<usize>,
    pub(super) span_batch: Batch,
    pub(super) log_batch: Batch,
    pub(super) metric_interval: Duration,
    pub(super) temporality: Temporality,
    pub(super) environment: String,
    /// What `RUST_LOG` lets through.
    pub(super) log_level: String,
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
            span_value_length: limits::value_length(env, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")?,
            log_value_length: limits::value_length(
                env,
                "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
            )?,
            span_batch: Batch::from_env(env, &limits::SPANS)?,
            log_batch: Batch::from_env(env, &limits::LOGS)?,
            metric_interval: limits::milliseconds(env, "OTEL_METRIC_EXPORT_INTERVAL", 60_000)?,
            temporality: read_temporality(env)?,
            environment: env.get("ENVIRONMENT").unwrap_or("development").to_owned(),
            log_level: read_log_level(env)?,
            propagators: read_propagators(env)?,
        })
    }

    pub(super) fn propagator(&self) -> TextMapCompositePropagator {
        let boxed = |propagator: &Propagator| -> Box<dyn TextMapPropagator + Send + Sync> {
            match propagator {
                Propagator::TraceContext => Box::new(TraceContextPropagator::new()),
                Propagator::Baggage => Box::new(BaggagePropagator::new()),
            }
        };
        TextMapCompositePropagator::new(self.propagators.iter().map(boxed).collect())
    }
}

fn read_exporter(env: &Env, variables: &Variables) -> Result<Exporter, SettingError> {
    match env.get(variables.exporter).unwrap_or("otlp") {
        "otlp" => Ok(Exporter::Otlp(Box::new(Otlp::from_env(env, variables)?))),
        "console" => Ok(Exporter::Console),
        "none" => Ok(Exporter::None),
        other => Err(SettingError::bad(
            variables.exporter,
            other,
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
    match EnvFilter::try_new(level) {
        Ok(_) => Ok(level.to_owned()),
        Err(_) => Err(SettingError::bad(
            NAME,
            level,
            "a level, or a list such as info,my_crate=debug",
        )),
    }
}

fn read_propagators(env: &Env) -> Result<Vec<Propagator>, SettingError> {
    const NAME: &str = "OTEL_PROPAGATORS";
    let list = env.get(NAME).unwrap_or("tracecontext,baggage");
    if list == "none" {
        return Ok(Vec::new());
    }
    let read = |word: &str| match word.trim() {
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
    fn disabled_means_no_exporter_whatever_else_is_set() {
        let env = Env::of([
            ("OTEL_SDK_DISABLED", "TRUE"),
            ("OTEL_TRACES_EXPORTER", "console"),
        ]);
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
        ] {
            assert!(error(name, value).starts_with(&format!("{name}: got `{value}`; takes ")));
        }
    }
}

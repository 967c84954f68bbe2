//! Reads and checks `OTEL_*`, `ENVIRONMENT` and `RUST_LOG`. The SDK reads some of them too, but ignores an
//! invalid value; here it is an error.

use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapCompositePropagator;
use opentelemetry_sdk::metrics::Temporality;
use settings::{Env, SettingError};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;

use super::configuration::{Configuration, Processor, Reader};
use super::exporter::Exporter;
use super::limits::{self, Batch};
use super::signal::{self, Signal};
use super::{propagators, resource, sampling};
use crate::names;

/// What the variables contain.
pub(super) fn read(env: &Env) -> Result<Configuration, SettingError> {
    let disabled = env.flag_or("OTEL_SDK_DISABLED", false)?;
    let exporter = |signal: &Signal| {
        if disabled {
            Ok(Exporter::None)
        } else {
            Exporter::from_env(env, signal)
        }
    };
    let span_batch = Batch::from_env(env, &limits::SPANS)?;
    let log_batch = Batch::from_env(env, &limits::LOGS)?;
    let metric_interval = limits::milliseconds(env, "OTEL_METRIC_EXPORT_INTERVAL", limits::METRIC_INTERVAL)?;
    Ok(Configuration {
        traces: vec![processor(exporter(&signal::TRACES)?, span_batch)],
        metrics: vec![Reader {
            exporter: exporter(&signal::METRICS)?,
            interval: metric_interval,
            temporality: read_temporality(env)?,
        }],
        logs: vec![processor(exporter(&signal::LOGS)?, log_batch)],
        views: Vec::new(),
        sampler: Box::new(sampling::from_env(env)?),
        span_limits: limits::spans(env)?,
        span_value_length: limits::span_value_length(env)?,
        log_limits: limits::log_records(env)?,
        span_batch,
        log_batch,
        metric_interval,
        propagator: read_propagators(env)?,
        attributes: read_attributes(env)?,
        schema_url: String::new(),
        environment: name(env),
        log_level: log_level(env, read_sdk_log_level(env)?)?,
        warnings: read_ignored(env),
    })
}

fn processor(exporter: Exporter, batch: Batch) -> Processor {
    Processor {
        is_simple: exporter.is_console(),
        exporter,
        batch,
    }
}

/// `ENVIRONMENT`.
pub(super) fn name(env: &Env) -> String {
    env.get("ENVIRONMENT").unwrap_or("development").to_owned()
}

/// Variables without effect, the value that needs no warning since it is what happens, and the reason.
const IGNORED: [[&str; 3]; 2] = [
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
];

fn read_ignored(env: &Env) -> Vec<String> {
    let is_other = |name, actual| {
        env.get(name)
            .is_some_and(|value| !value.eq_ignore_ascii_case(actual))
    };
    let ignored = |[name, actual, reason]: [_; 3]| {
        is_other(name, actual).then(|| format!("{name} has no effect: {reason}"))
    };
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

/// The directives of `RUST_LOG`, and the level of the SDK's own lines. The names of its crates all start with
/// `opentelemetry`.
pub(super) fn log_level(env: &Env, sdk: Option<LevelFilter>) -> Result<String, SettingError> {
    const NAME: &str = "RUST_LOG";
    let level = env.get(NAME).unwrap_or("info");
    let takes = "a level, or a list such as info,my_crate=debug";
    if EnvFilter::try_new(level).is_err() {
        return Err(SettingError::bad(NAME, level, takes));
    }
    Ok(match sdk {
        Some(sdk) => format!("{level},opentelemetry={sdk}"),
        None => level.to_owned(),
    })
}

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
    let Some(list) = env.get(NAME) else {
        return Ok(propagators::composite(&propagators::DEFAULT));
    };
    match propagators::parse_list(list) {
        Some(listed) => Ok(propagators::composite(&listed)),
        None => Err(SettingError::bad(NAME, list, propagators::TAKES)),
    }
}

/// `OTEL_RESOURCE_ATTRIBUTES`, overridden by `OTEL_SERVICE_NAME`.
fn read_attributes(env: &Env) -> Result<Vec<KeyValue>, SettingError> {
    const NAME: &str = "OTEL_RESOURCE_ATTRIBUTES";
    let list = env.get(NAME).unwrap_or_default();
    let Some(mut attributes) = resource::parse_list(list) else {
        return Err(SettingError::bad(NAME, list, resource::LIST));
    };
    if let Some(name) = env.get("OTEL_SERVICE_NAME") {
        attributes.push(KeyValue::new(names::SERVICE_NAME, name.to_owned()));
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use opentelemetry::propagation::TextMapPropagator;

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
        let configuration = read(&env).unwrap();
        let protocol = |exporter: &Exporter| match exporter {
            Exporter::Otlp(otlp) => Some(otlp.protocol),
            _ => None,
        };
        assert_eq!(protocol(&configuration.traces[0].exporter), Some(Protocol::Grpc));
        assert_eq!(
            protocol(&configuration.logs[0].exporter),
            Some(Protocol::Http(Encoding::Json))
        );
        assert_eq!(protocol(&configuration.metrics[0].exporter), None);
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
        let configuration = read(&env).unwrap();
        assert!(matches!(configuration.traces[0].exporter, Exporter::Console));
        assert!(matches!(configuration.metrics[0].exporter, Exporter::None));
        let mut fields: Vec<_> = configuration.propagator.fields().collect();
        fields.sort_unstable();
        assert_eq!(fields, ["traceparent", "tracestate"]);
        assert_eq!(configuration.log_level, "warn,opentelemetry=debug");
    }

    #[test]
    fn a_disabled_sdk_has_no_exporter() {
        let env = Env::of([("OTEL_SDK_DISABLED", "TRUE"), ("OTEL_TRACES_EXPORTER", "console")]);
        let configuration = read(&env).unwrap();
        assert!(matches!(configuration.traces[0].exporter, Exporter::None));
    }

    #[test]
    fn an_invalid_value_is_named_with_what_is_accepted() {
        let error = |name, value| read(&Env::of([(name, value)])).unwrap_err().to_string();
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

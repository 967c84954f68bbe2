//! The variables that the OpenTelemetry specification defines and the SDK does not read by itself. What the SDK does read
//! (endpoints, headers, batches, limits, intervals) is left to it.

use opentelemetry::propagation::{TextMapCompositePropagator, TextMapPropagator};
use opentelemetry_otlp::Protocol;
use opentelemetry_sdk::propagation::{BaggagePropagator, TraceContextPropagator};
use settings::{Env, SettingError};

/// Where a signal goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exporter {
    Otlp(Protocol),
    Console,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Propagator {
    TraceContext,
    Baggage,
}

#[derive(Debug)]
pub(crate) struct OtelSettings {
    pub(crate) traces: Exporter,
    pub(crate) metrics: Exporter,
    pub(crate) logs: Exporter,
    pub(crate) environment: String,
    propagators: Vec<Propagator>,
}

impl OtelSettings {
    pub(crate) fn from_env(env: &Env) -> Result<Self, SettingError> {
        let disabled = env.flag_or("OTEL_SDK_DISABLED", false)?;
        let exporter = |exporter, protocol| match disabled {
            true => Ok(Exporter::None),
            false => read_exporter(env, exporter, protocol),
        };
        check_sampler(env)?;
        Ok(Self {
            traces: exporter("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")?,
            metrics: exporter(
                "OTEL_METRICS_EXPORTER",
                "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
            )?,
            logs: exporter("OTEL_LOGS_EXPORTER", "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL")?,
            environment: env.get("ENVIRONMENT").unwrap_or("development").to_owned(),
            propagators: read_propagators(env)?,
        })
    }

    pub(crate) fn propagator(&self) -> TextMapCompositePropagator {
        let boxed = |propagator: &Propagator| -> Box<dyn TextMapPropagator + Send + Sync> {
            match propagator {
                Propagator::TraceContext => Box::new(TraceContextPropagator::new()),
                Propagator::Baggage => Box::new(BaggagePropagator::new()),
            }
        };
        TextMapCompositePropagator::new(self.propagators.iter().map(boxed).collect())
    }
}

fn read_exporter(
    env: &Env,
    exporter: &'static str,
    protocol: &'static str,
) -> Result<Exporter, SettingError> {
    match env.get(exporter).unwrap_or("otlp") {
        "otlp" => Ok(Exporter::Otlp(read_protocol(env, protocol)?)),
        "console" => Ok(Exporter::Console),
        "none" => Ok(Exporter::None),
        other => Err(SettingError::bad(exporter, other, "otlp, console or none")),
    }
}

/// A signal's own protocol wins over the common one; without either, the specification asks for http/protobuf.
fn read_protocol(env: &Env, of_signal: &'static str) -> Result<Protocol, SettingError> {
    for name in [of_signal, "OTEL_EXPORTER_OTLP_PROTOCOL"] {
        match env.get(name) {
            None => {}
            Some("grpc") => return Ok(Protocol::Grpc),
            Some("http/protobuf") => return Ok(Protocol::HttpBinary),
            Some("http/json") => return Ok(Protocol::HttpJson),
            Some(other) => {
                return Err(SettingError::bad(
                    name,
                    other,
                    "grpc, http/protobuf or http/json",
                ));
            }
        }
    }
    Ok(Protocol::HttpBinary)
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

/// The SDK only warns of a sampler it does not know, and then samples everything.
fn check_sampler(env: &Env) -> Result<(), SettingError> {
    const NAME: &str = "OTEL_TRACES_SAMPLER";
    const ARG: &str = "OTEL_TRACES_SAMPLER_ARG";
    match env.get(NAME) {
        None
        | Some("always_on" | "always_off" | "parentbased_always_on" | "parentbased_always_off") => {
            Ok(())
        }
        Some("traceidratio" | "parentbased_traceidratio") => {
            env.within(ARG, 1.0, 0.0..=1.0).map(|_| ())
        }
        Some(other) => Err(SettingError::bad(
            NAME,
            other,
            "always_on, always_off, traceidratio, or one of these behind parentbased_",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signals_own_protocol_wins() {
        let env = Env::of([
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_LOGS_PROTOCOL", "http/json"),
            ("OTEL_METRICS_EXPORTER", "none"),
        ]);
        let settings = OtelSettings::from_env(&env).unwrap();
        assert_eq!(settings.traces, Exporter::Otlp(Protocol::Grpc));
        assert_eq!(settings.logs, Exporter::Otlp(Protocol::HttpJson));
        assert_eq!(settings.metrics, Exporter::None);
    }

    #[test]
    fn disabled_means_no_exporter_whatever_else_is_set() {
        let env = Env::of([
            ("OTEL_SDK_DISABLED", "TRUE"),
            ("OTEL_TRACES_EXPORTER", "console"),
        ]);
        assert_eq!(OtelSettings::from_env(&env).unwrap().traces, Exporter::None);
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
        assert!(error("OTEL_PROPAGATORS", "b3").starts_with("OTEL_PROPAGATORS: got `b3`"));
        assert!(
            error("OTEL_TRACES_SAMPLER", "xray").starts_with("OTEL_TRACES_SAMPLER: got `xray`")
        );
    }
}

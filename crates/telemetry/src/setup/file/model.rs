//! The keys of a file, and the configuration that they make.

use settings::Env;
use tracing_subscriber::filter::LevelFilter;

use super::limits::{self, AttributeLimits};
use super::node::Malformation;
use super::place::{Place, optional};
use super::{propagator, providers, resource, sampler};
use crate::setup::configuration::Configuration;
use crate::setup::limits::{LOGS, METRIC_INTERVAL, SPANS};
use crate::setup::{environment, propagators};

/// The latest minor version of the file format whose keys are known here.
const KNOWN_MINOR: u32 = 1;

/// `env` has what is not of the specification: `ENVIRONMENT`, `RUST_LOG` and `ALLOW_PLAINTEXT`.
pub(super) fn read(place: &Place<'_>, env: &Env) -> Result<Configuration, Malformation> {
    let [
        file_format,
        disabled,
        log_level,
        attribute_limits,
        resource,
        propagator,
        tracer,
        meter,
        logger,
    ] = place.keys([
        "file_format",
        "disabled",
        "log_level",
        "attribute_limits",
        "resource",
        "propagator",
        "tracer_provider",
        "meter_provider",
        "logger_provider",
    ])?;
    let minor = read_format(&place.required("file_format", file_format)?)?;
    let level = optional(log_level.as_ref(), read_level)?;
    let common = AttributeLimits::read(attribute_limits.as_ref(), AttributeLimits::default())?;
    let (span_limits, span_value_length) = limits::spans(None, common)?;
    let (attributes, schema_url) = resource::read(resource.as_ref())?;
    let mut configuration = Configuration {
        traces: Vec::new(),
        metrics: Vec::new(),
        logs: Vec::new(),
        views: Vec::new(),
        sampler: sampler::default(),
        span_limits,
        span_value_length,
        log_limits: common.records(),
        span_batch: SPANS.batch(),
        log_batch: LOGS.batch(),
        metric_interval: METRIC_INTERVAL,
        propagator: propagators::composite(&propagator::read(propagator.as_ref())?),
        attributes,
        schema_url,
        environment: environment::name(env),
        log_level: environment::log_level(env, level).map_err(|error| place.refuse(error.to_string()))?,
        warnings: later_format(minor).into_iter().collect(),
    };
    let it = &mut configuration;
    optional(tracer.as_ref(), |place| providers::tracer(place, it, common, env))?;
    optional(meter.as_ref(), |place| providers::meter(place, it, env))?;
    optional(logger.as_ref(), |place| providers::logger(place, it, common, env))?;
    if optional(disabled.as_ref(), Place::boolean)? == Some(true) {
        configuration.traces.clear();
        configuration.metrics.clear();
        configuration.logs.clear();
    }
    Ok(configuration)
}

/// The minor version of `1.0` and the like.
fn read_format(place: &Place<'_>) -> Result<u32, Malformation> {
    let takes = format!("\"1.0\" or \"1.{KNOWN_MINOR}\"");
    place.parsed(&takes, |version| version.strip_prefix("1.")?.parse().ok())
}

/// A line for the start if the file may contain keys that are not known here.
fn later_format(minor: u32) -> Option<String> {
    (minor > KNOWN_MINOR).then(|| {
        format!("file_format 1.{minor} is later than 1.{KNOWN_MINOR}, by which the configuration is read")
    })
}

/// A level of log records of the specification.
fn read_level(place: &Place<'_>) -> Result<LevelFilter, Malformation> {
    let takes = "trace, debug, info, warn, error or fatal, each also with 2, 3 or 4 at its end";
    place.parsed(takes, |name| {
        Some(match name.strip_suffix(['2', '3', '4']).unwrap_or(name) {
            "trace" => LevelFilter::TRACE,
            "debug" => LevelFilter::DEBUG,
            "info" => LevelFilter::INFO,
            "warn" => LevelFilter::WARN,
            "error" | "fatal" => LevelFilter::ERROR,
            _ => return None,
        })
    })
}

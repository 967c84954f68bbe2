//! The keys of a file, and the configuration that they make.

use serde::Deserialize;
use settings::Env;

use super::limits::{AttributeLimits, SpanLimits};
use super::propagator::Composite;
use super::providers::{LoggerProvider, MeterProvider, TracerProvider};
use super::refusal::Refusal;
use super::resource::Resource;
use super::sampler;
use super::values::{FileFormat, Severity};
use crate::setup::configuration::Configuration;
use crate::setup::{environment, limits, propagators};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    file_format: FileFormat,
    disabled: Option<bool>,
    log_level: Option<Severity>,
    #[serde(default)]
    attribute_limits: AttributeLimits,
    #[serde(default)]
    resource: Resource,
    #[serde(default)]
    propagator: Composite,
    tracer_provider: Option<TracerProvider>,
    meter_provider: Option<MeterProvider>,
    logger_provider: Option<LoggerProvider>,
}

impl Model {
    /// `env` has what is not of the specification: `ENVIRONMENT`, `RUST_LOG` and `ALLOW_PLAINTEXT`.
    pub(super) fn build(self, env: &Env) -> Result<Configuration, Refusal> {
        let variable = |error: settings::SettingError| Refusal::new(error.to_string());
        let common = self.attribute_limits;
        let schema_url = self.resource.schema_url.clone().unwrap_or_default();
        let mut configuration = Configuration {
            traces: Vec::new(),
            metrics: Vec::new(),
            logs: Vec::new(),
            views: Vec::new(),
            sampler: sampler::default(),
            span_limits: SpanLimits::default().counts(common),
            span_value_length: SpanLimits::default().value_length(common),
            log_limits: AttributeLimits::default().records(common),
            span_batch: limits::SPANS.batch(),
            log_batch: limits::LOGS.batch(),
            metric_interval: limits::METRIC_INTERVAL,
            propagator: propagators::composite(&self.propagator.propagators()),
            attributes: self
                .resource
                .attributes()
                .map_err(|refusal| refusal.within("resource"))?,
            schema_url,
            environment: environment::name(env),
            log_level: environment::log_level(env, self.log_level.map(|level| level.0)).map_err(variable)?,
            warnings: self.file_format.warning().into_iter().collect(),
        };
        if let Some(provider) = self.tracer_provider {
            provider.apply(&mut configuration, common, env)?;
        }
        if let Some(provider) = self.meter_provider {
            provider.apply(&mut configuration, env)?;
        }
        if let Some(provider) = self.logger_provider {
            provider.apply(&mut configuration, common, env)?;
        }
        if self.disabled == Some(true) {
            configuration.traces.clear();
            configuration.metrics.clear();
            configuration.logs.clear();
        }
        Ok(configuration)
    }
}

//! `tracer_provider`, `logger_provider` and `meter_provider`.

use serde::Deserialize;
use settings::Env;

use super::exporter::{Exporter, SimpleExporter};
use super::limits::{AttributeLimits, SpanLimits};
use super::purpose::Purpose;
use super::refusal::Refusal;
use super::sampler::Sampler;
use super::values::{Empty, Milliseconds};
use super::view::View;
use crate::setup::configuration::{self, Configuration};
use crate::setup::limits::{self, Batch};
use crate::setup::signal::{LOGS, METRICS, Signal, TRACES};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TracerProvider {
    processors: Vec<Processor>,
    #[serde(default)]
    limits: SpanLimits,
    sampler: Option<Sampler>,
    #[serde(rename = "id_generator")]
    _id_generator: Option<IdGenerator>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LoggerProvider {
    processors: Vec<Processor>,
    #[serde(default)]
    limits: AttributeLimits,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MeterProvider {
    readers: Vec<Reader>,
    #[serde(default)]
    views: Vec<View>,
    #[serde(rename = "exemplar_filter")]
    _exemplar_filter: Option<ExemplarFilter>,
}

/// Others do not exist.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum IdGenerator {
    Random(Empty),
}

/// The SDK records no exemplars.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum ExemplarFilter {
    AlwaysOff,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Processor {
    Batch(BatchProcessor),
    Simple(SimpleProcessor),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BatchProcessor {
    schedule_delay: Option<Milliseconds>,
    export_timeout: Option<Milliseconds>,
    max_queue_size: Option<usize>,
    max_export_batch_size: Option<usize>,
    exporter: Exporter,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SimpleProcessor {
    exporter: SimpleExporter,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reader {
    Periodic(PeriodicReader),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PeriodicReader {
    interval: Option<Milliseconds>,
    timeout: Option<Milliseconds>,
    exporter: Exporter,
}

impl TracerProvider {
    pub(super) fn apply(
        self,
        configuration: &mut Configuration,
        common: AttributeLimits,
        env: &Env,
    ) -> Result<(), Refusal> {
        let default = limits::SPANS.batch();
        let processors = processors(self.processors, &TRACES, default, env);
        configuration.traces = processors.map_err(|refusal| refusal.within("tracer_provider"))?;
        configuration.span_batch = first_batch(&configuration.traces).unwrap_or(default);
        configuration.span_limits = self.limits.counts(common);
        configuration.span_value_length = self.limits.value_length(common);
        if let Some(sampler) = self.sampler {
            configuration.sampler = sampler.build();
        }
        Ok(())
    }
}

impl LoggerProvider {
    pub(super) fn apply(
        self,
        configuration: &mut Configuration,
        common: AttributeLimits,
        env: &Env,
    ) -> Result<(), Refusal> {
        let default = limits::LOGS.batch();
        let processors = processors(self.processors, &LOGS, default, env);
        configuration.logs = processors.map_err(|refusal| refusal.within("logger_provider"))?;
        configuration.log_batch = first_batch(&configuration.logs).unwrap_or(default);
        configuration.log_limits = self.limits.records(common);
        Ok(())
    }
}

impl MeterProvider {
    pub(super) fn apply(self, configuration: &mut Configuration, env: &Env) -> Result<(), Refusal> {
        let readers = each("readers", self.readers, |reader| reader.build(env));
        configuration.metrics = readers.map_err(|refusal| refusal.within("meter_provider"))?;
        if let Some(first) = configuration.metrics.first() {
            configuration.metric_interval = first.interval;
        }
        let views = each("views", self.views, View::build);
        configuration.views = views.map_err(|refusal| refusal.within("meter_provider"))?;
        Ok(())
    }
}

fn processors(
    processors: Vec<Processor>,
    signal: &Signal,
    default: Batch,
    env: &Env,
) -> Result<Vec<configuration::Processor>, Refusal> {
    each("processors", processors, |processor| {
        processor.build(signal, default, env)
    })
}

fn first_batch(processors: &[configuration::Processor]) -> Option<Batch> {
    let first = processors.iter().find(|processor| !processor.is_simple);
    first.map(|processor| processor.batch)
}

/// Builds each item of the list that is at `key`.
fn each<T, B>(key: &str, items: Vec<T>, build: impl Fn(T) -> Result<B, Refusal>) -> Result<Vec<B>, Refusal> {
    let items = items.into_iter().enumerate();
    let built = items.map(|(index, item)| build(item).map_err(|refusal| refusal.within_item(index)));
    built
        .collect::<Result<_, _>>()
        .map_err(|refusal| refusal.within(key))
}

impl Processor {
    /// `default` is the batch without settings.
    fn build(self, signal: &Signal, default: Batch, env: &Env) -> Result<configuration::Processor, Refusal> {
        match self {
            Self::Batch(processor) => {
                let built = processor.build(signal, default, env);
                built.map_err(|refusal| refusal.within("batch"))
            }
            Self::Simple(processor) => Ok(configuration::Processor {
                exporter: processor.exporter.build(),
                batch: default,
                is_simple: true,
            }),
        }
    }
}

impl BatchProcessor {
    fn build(self, signal: &Signal, default: Batch, env: &Env) -> Result<configuration::Processor, Refusal> {
        let queue = self.max_queue_size.unwrap_or(default.queue);
        let queue = within("max_queue_size", queue, Batch::MAX_QUEUE)?;
        let size = self.max_export_batch_size.unwrap_or(Batch::default_size(queue));
        let batch = Batch {
            queue,
            size: within("max_export_batch_size", size, queue)?,
            delay: self.schedule_delay.map_or(default.delay, |delay| delay.0),
        };
        let exporter = self.exporter.build(purpose(signal, self.export_timeout, env));
        Ok(configuration::Processor {
            exporter: exporter.map_err(|refusal| refusal.within("exporter"))?,
            batch,
            is_simple: false,
        })
    }
}

impl Reader {
    fn build(self, env: &Env) -> Result<configuration::Reader, Refusal> {
        let Self::Periodic(reader) = self;
        let temporality = reader.exporter.temporality();
        let exporter = reader.exporter.build(purpose(&METRICS, reader.timeout, env));
        let exporter = exporter.map_err(|refusal| refusal.within("exporter").within("periodic"))?;
        Ok(configuration::Reader {
            exporter,
            interval: reader
                .interval
                .map_or(limits::METRIC_INTERVAL, |interval| interval.0),
            temporality,
        })
    }
}

fn purpose<'a>(signal: &'a Signal, batch_timeout: Option<Milliseconds>, env: &'a Env) -> Purpose<'a> {
    Purpose {
        signal,
        batch_timeout: batch_timeout.map_or(limits::EXPORT_TIMEOUT, |timeout| timeout.0),
        env,
    }
}

fn within(key: &str, number: usize, max: usize) -> Result<usize, Refusal> {
    if (1..=max).contains(&number) {
        Ok(number)
    } else {
        let reason = format!("got `{number}`; takes a number from 1 to {max}");
        Err(Refusal::new(reason).within(key))
    }
}

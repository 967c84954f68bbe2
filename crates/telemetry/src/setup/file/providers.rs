//! `tracer_provider`, `logger_provider` and `meter_provider`.

use settings::Env;

use super::limits::{self, AttributeLimits};
use super::node::Malformation;
use super::place::{Place, each, optional};
use super::purpose::Purpose;
use super::{exporter, sampler, view};
use crate::setup::configuration::{Configuration, Processor, Reader};
use crate::setup::limits::{Batch, EXPORT_TIMEOUT, LOGS, METRIC_INTERVAL, SPANS};
use crate::setup::signal::{self, Signal};

pub(super) fn tracer(
    place: &Place<'_>,
    configuration: &mut Configuration,
    common: AttributeLimits,
    env: &Env,
) -> Result<(), Malformation> {
    let [processors, limits, sampler, id_generator] =
        place.keys(["processors", "limits", "sampler", "id_generator"])?;
    let processors = place.required("processors", processors)?;
    let default = SPANS.batch();
    configuration.traces = read_processors(&processors, &signal::TRACES, default, env)?;
    configuration.span_batch = first_batch(&configuration.traces).unwrap_or(default);
    (configuration.span_limits, configuration.span_value_length) = limits::spans(limits.as_ref(), common)?;
    if let Some(sampler) = optional(sampler.as_ref(), sampler::read)? {
        configuration.sampler = sampler;
    }
    // Others do not exist.
    optional(id_generator.as_ref(), |place| {
        let ((), settings) = place.choice(&[("random", ())])?;
        settings.keys([])
    })?;
    Ok(())
}

pub(super) fn logger(
    place: &Place<'_>,
    configuration: &mut Configuration,
    common: AttributeLimits,
    env: &Env,
) -> Result<(), Malformation> {
    let [processors, limits] = place.keys(["processors", "limits"])?;
    let processors = place.required("processors", processors)?;
    let default = LOGS.batch();
    configuration.logs = read_processors(&processors, &signal::LOGS, default, env)?;
    configuration.log_batch = first_batch(&configuration.logs).unwrap_or(default);
    configuration.log_limits = AttributeLimits::read(limits.as_ref(), common)?.records();
    Ok(())
}

pub(super) fn meter(
    place: &Place<'_>,
    configuration: &mut Configuration,
    env: &Env,
) -> Result<(), Malformation> {
    let [readers, views, exemplar_filter] = place.keys(["readers", "views", "exemplar_filter"])?;
    let readers = place.required("readers", readers)?;
    configuration.metrics = each(Some(&readers), |place| {
        let ((), settings) = place.choice(&[("periodic", ())])?;
        read_periodic(&settings, env)
    })?;
    if let Some(first) = configuration.metrics.first() {
        configuration.metric_interval = first.interval;
    }
    configuration.views = each(views.as_ref(), view::read)?;
    // The SDK records no exemplars.
    optional(exemplar_filter.as_ref(), |place| {
        place.word(&[("always_off", ())])
    })?;
    Ok(())
}

fn first_batch(processors: &[Processor]) -> Option<Batch> {
    let first = processors.iter().find(|processor| !processor.is_simple);
    first.map(|processor| processor.batch)
}

/// `default` is the batch without settings.
fn read_processors(
    place: &Place<'_>,
    signal: &Signal,
    default: Batch,
    env: &Env,
) -> Result<Vec<Processor>, Malformation> {
    let purpose = Purpose {
        signal,
        batch_timeout: EXPORT_TIMEOUT,
        env,
    };
    each(Some(place), |place| {
        let (read, settings) = place.choice(&PROCESSORS)?;
        read(&settings, default, purpose)
    })
}

type ReadProcessor = fn(&Place<'_>, Batch, Purpose<'_>) -> Result<Processor, Malformation>;

const PROCESSORS: [(&str, ReadProcessor); 2] = [("batch", read_batch), ("simple", read_simple)];

fn read_batch(
    place: &Place<'_>,
    default: Batch,
    mut purpose: Purpose<'_>,
) -> Result<Processor, Malformation> {
    let [delay, timeout, queue, size, exporter] = place.keys([
        "schedule_delay",
        "export_timeout",
        "max_queue_size",
        "max_export_batch_size",
        "exporter",
    ])?;
    if let Some(timeout) = optional(timeout.as_ref(), Place::milliseconds)? {
        purpose.batch_timeout = timeout;
    }
    let queue = optional(queue.as_ref(), |it| it.up_to(Batch::MAX_QUEUE))?.unwrap_or(default.queue);
    let size = optional(size.as_ref(), |it| it.up_to(queue))?;
    let batch = Batch {
        queue,
        size: size.unwrap_or_else(|| Batch::default_size(queue)),
        delay: optional(delay.as_ref(), Place::milliseconds)?.unwrap_or(default.delay),
    };
    let (exporter, _) = exporter::read(&place.required("exporter", exporter)?, purpose)?;
    Ok(Processor {
        exporter,
        batch,
        is_simple: false,
    })
}

fn read_simple(place: &Place<'_>, default: Batch, purpose: Purpose<'_>) -> Result<Processor, Malformation> {
    let [exporter] = place.keys(["exporter"])?;
    Ok(Processor {
        exporter: exporter::read_simple(&place.required("exporter", exporter)?, purpose)?,
        batch: default,
        is_simple: true,
    })
}

fn read_periodic(place: &Place<'_>, env: &Env) -> Result<Reader, Malformation> {
    let [interval, timeout, exporter] = place.keys(["interval", "timeout", "exporter"])?;
    let purpose = Purpose {
        signal: &signal::METRICS,
        batch_timeout: optional(timeout.as_ref(), Place::milliseconds)?.unwrap_or(EXPORT_TIMEOUT),
        env,
    };
    let (exporter, temporality) = exporter::read(&place.required("exporter", exporter)?, purpose)?;
    Ok(Reader {
        exporter,
        interval: optional(interval.as_ref(), Place::milliseconds)?.unwrap_or(METRIC_INTERVAL),
        temporality,
    })
}

//! The limits of spans, log records and export queues: `OTEL_*_LIMIT`, `OTEL_BSP_*`, `OTEL_BLRP_*`.
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>

use std::time::Duration;

use opentelemetry_sdk::trace::SpanLimits;
use settings::{Env, SettingError};

use crate::masking::RecordLimits;

/// The limit of each count unless another is configured.
pub(super) const DEFAULT_COUNT: u16 = 128;

/// The limits of the specification that the SDK enforces.
pub(super) fn spans(env: &Env) -> Result<SpanLimits, SettingError> {
    let limit = |name, default| env.within(name, default, 0..=u32::MAX);
    let default = u32::from(DEFAULT_COUNT);
    let any = limit("OTEL_ATTRIBUTE_COUNT_LIMIT", default)?;
    Ok(SpanLimits {
        max_attributes_per_span: limit("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", any)?,
        max_events_per_span: limit("OTEL_SPAN_EVENT_COUNT_LIMIT", default)?,
        max_links_per_span: limit("OTEL_SPAN_LINK_COUNT_LIMIT", default)?,
        max_attributes_per_event: limit("OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", default)?,
        max_attributes_per_link: limit("OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", default)?,
    })
}

/// The longest text attribute of a span. [`crate::masking`] enforces it and the limits of log records.
pub(super) fn span_value_length(env: &Env) -> Result<Option<usize>, SettingError> {
    value_length(env, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")
}

pub(super) fn log_records(env: &Env) -> Result<RecordLimits, SettingError> {
    let any = env.within("OTEL_ATTRIBUTE_COUNT_LIMIT", DEFAULT_COUNT.into(), 0..=usize::MAX)?;
    Ok(RecordLimits {
        attributes: env.within("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", any, 0..=usize::MAX)?,
        value_length: value_length(env, "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT")?,
    })
}

/// The longest text attribute, in characters; `None` for no limit, which is the specification's default.
fn value_length(env: &Env, own: &'static str) -> Result<Option<usize>, SettingError> {
    for name in [own, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"] {
        let limit = env.optional(name, "a number of characters")?;
        if limit.is_some() {
            return Ok(limit);
        }
    }
    Ok(None)
}

/// The queue in front of an exporter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch {
    /// The most records that it holds; further ones are dropped.
    pub(super) queue: usize,
    /// The most records in one request to the collector.
    pub(super) size: usize,
    /// The longest time that a record waits for a batch to fill.
    pub(super) delay: Duration,
}

/// The names of one signal's variables.
#[derive(Debug)]
pub(super) struct BatchVariables {
    pub(super) queue: &'static str,
    pub(super) size: &'static str,
    pub(super) delay: &'static str,
    pub(super) default_delay: Duration,
}

pub(super) const SPANS: BatchVariables = BatchVariables {
    queue: "OTEL_BSP_MAX_QUEUE_SIZE",
    size: "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    delay: "OTEL_BSP_SCHEDULE_DELAY",
    default_delay: Duration::from_secs(5),
};
pub(super) const LOGS: BatchVariables = BatchVariables {
    queue: "OTEL_BLRP_MAX_QUEUE_SIZE",
    size: "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
    delay: "OTEL_BLRP_SCHEDULE_DELAY",
    default_delay: Duration::from_secs(1),
};

const DEFAULT_QUEUE: usize = 2_048;

#[cfg(feature = "config-file")]
impl BatchVariables {
    /// The batch unless it is configured.
    pub(super) fn batch(&self) -> Batch {
        Batch {
            queue: DEFAULT_QUEUE,
            size: Batch::default_size(DEFAULT_QUEUE),
            delay: self.default_delay,
        }
    }
}

impl Batch {
    pub(super) const MAX_QUEUE: usize = 1_000_000;

    /// The size of batches unless another is configured.
    pub(super) fn default_size(queue: usize) -> usize {
        queue.min(512)
    }

    pub(super) fn from_env(env: &Env, names: &BatchVariables) -> Result<Self, SettingError> {
        let queue = env.within(names.queue, DEFAULT_QUEUE, 1..=Self::MAX_QUEUE)?;
        Ok(Self {
            queue,
            size: env.within(names.size, Self::default_size(queue), 1..=queue)?,
            delay: milliseconds(env, names.delay, names.default_delay)?,
        })
    }
}

/// How often metrics are exported unless another interval is configured.
pub(super) const METRIC_INTERVAL: Duration = Duration::from_secs(60);
/// The timeout of an export with its retries unless another is configured.
#[cfg(any(feature = "__otlp", feature = "config-file"))]
pub(super) const EXPORT_TIMEOUT: Duration = Duration::from_secs(30);

/// A duration in the form of the specification: a whole number of milliseconds above 0.
pub(super) fn milliseconds(
    env: &Env,
    name: &'static str,
    default: Duration,
) -> Result<Duration, SettingError> {
    let takes = "a number of milliseconds above 0";
    match env.optional(name, takes)? {
        Some(0) => Err(SettingError::bad(name, "0", takes)),
        milliseconds => Ok(milliseconds.map_or(default, Duration::from_millis)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_fits_into_its_queue() {
        let batch = Batch::from_env(&Env::of([("OTEL_BSP_MAX_QUEUE_SIZE", "100")]), &SPANS);
        assert_eq!(batch.unwrap().size, 100);
        let error = Batch::from_env(
            &Env::of([
                ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
                ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "101"),
            ]),
            &SPANS,
        );
        assert_eq!(
            error.unwrap_err().to_string(),
            "OTEL_BSP_MAX_EXPORT_BATCH_SIZE: got `101`; takes a number from 1 to 100"
        );
    }

    #[test]
    fn a_spans_own_limit_overrides_the_common_one() {
        let env = Env::of([
            ("OTEL_ATTRIBUTE_COUNT_LIMIT", "10"),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "20"),
            ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "30"),
            ("OTEL_SPAN_LINK_COUNT_LIMIT", "0"),
            ("OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "0"),
        ]);
        let spans = spans(&env).unwrap();
        assert_eq!(spans.max_attributes_per_span, 10);
        assert_eq!(spans.max_links_per_span, 0);
        assert_eq!(span_value_length(&env).unwrap(), Some(30));
        let records = log_records(&env).unwrap();
        assert_eq!(records.attributes, 0);
        assert_eq!(records.value_length, Some(20));
    }

    #[test]
    fn a_duration_of_0_is_an_error() {
        let env = Env::of([("OTEL_BLRP_SCHEDULE_DELAY", "0")]);
        assert!(Batch::from_env(&env, &LOGS).is_err());
    }
}

//! `attribute_limits`, and `limits` of `tracer_provider` and `logger_provider`.

use opentelemetry_sdk::trace;
use serde::Deserialize;

use crate::masking::RecordLimits;

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AttributeLimits {
    attribute_value_length_limit: Option<usize>,
    attribute_count_limit: Option<u32>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpanLimits {
    attribute_value_length_limit: Option<usize>,
    attribute_count_limit: Option<u32>,
    event_count_limit: Option<u32>,
    link_count_limit: Option<u32>,
    event_attribute_count_limit: Option<u32>,
    link_attribute_count_limit: Option<u32>,
}

/// The limit of each count unless another is set.
const DEFAULT_COUNT: u32 = 128;

impl SpanLimits {
    pub(super) fn counts(self, common: AttributeLimits) -> trace::SpanLimits {
        let attributes = self.attribute_count_limit.or(common.attribute_count_limit);
        trace::SpanLimits {
            max_attributes_per_span: attributes.unwrap_or(DEFAULT_COUNT),
            max_events_per_span: self.event_count_limit.unwrap_or(DEFAULT_COUNT),
            max_links_per_span: self.link_count_limit.unwrap_or(DEFAULT_COUNT),
            max_attributes_per_event: self.event_attribute_count_limit.unwrap_or(DEFAULT_COUNT),
            max_attributes_per_link: self.link_attribute_count_limit.unwrap_or(DEFAULT_COUNT),
        }
    }

    pub(super) fn value_length(self, common: AttributeLimits) -> Option<usize> {
        self.attribute_value_length_limit
            .or(common.attribute_value_length_limit)
    }
}

impl AttributeLimits {
    /// Of log records, unless `common` has other limits.
    pub(super) fn records(self, common: Self) -> RecordLimits {
        let count = self.attribute_count_limit.or(common.attribute_count_limit);
        let length = self.attribute_value_length_limit;
        RecordLimits {
            attributes: usize::try_from(count.unwrap_or(DEFAULT_COUNT)).unwrap_or(usize::MAX),
            value_length: length.or(common.attribute_value_length_limit),
        }
    }
}

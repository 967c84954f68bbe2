//! `attribute_limits`, and `limits` of `tracer_provider` and `logger_provider`.

use opentelemetry_sdk::trace::SpanLimits;

use super::node::Malformation;
use super::place::{Place, keys, optional};
use crate::masking::RecordLimits;
use crate::setup::limits::DEFAULT_COUNT;

#[derive(Clone, Copy, Default)]
pub(super) struct AttributeLimits {
    value_length: Option<usize>,
    count: Option<u32>,
}

impl AttributeLimits {
    /// `common` has the limits that are not set here.
    pub(super) fn read(place: Option<&Place<'_>>, common: Self) -> Result<Self, Malformation> {
        let [length, count] = keys(place, ["attribute_value_length_limit", "attribute_count_limit"])?;
        Ok(Self {
            value_length: optional(length.as_ref(), Place::count)?.or(common.value_length),
            count: optional(count.as_ref(), Place::count)?.or(common.count),
        })
    }

    pub(super) fn records(self) -> RecordLimits {
        let count = self.count.unwrap_or(DEFAULT_COUNT.into());
        RecordLimits {
            attributes: usize::try_from(count).unwrap_or(usize::MAX),
            value_length: self.value_length,
        }
    }
}

/// The limits of spans, and the longest text attribute.
pub(super) fn spans(
    place: Option<&Place<'_>>,
    common: AttributeLimits,
) -> Result<(SpanLimits, Option<usize>), Malformation> {
    let [length, attributes, events, links, of_events, of_links] = keys(
        place,
        [
            "attribute_value_length_limit",
            "attribute_count_limit",
            "event_count_limit",
            "link_count_limit",
            "event_attribute_count_limit",
            "link_attribute_count_limit",
        ],
    )?;
    let limit = |place: Option<Place<'_>>, default: Option<u32>| -> Result<u32, Malformation> {
        let limit = optional(place.as_ref(), Place::count)?;
        Ok(limit.or(default).unwrap_or(DEFAULT_COUNT.into()))
    };
    let limits = SpanLimits {
        max_attributes_per_span: limit(attributes, common.count)?,
        max_events_per_span: limit(events, None)?,
        max_links_per_span: limit(links, None)?,
        max_attributes_per_event: limit(of_events, None)?,
        max_attributes_per_link: limit(of_links, None)?,
    };
    let length = optional(length.as_ref(), Place::count)?;
    Ok((limits, length.or(common.value_length)))
}

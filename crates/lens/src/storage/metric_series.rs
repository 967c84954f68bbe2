//! The samples of one set of attributes of a metric.

use std::collections::VecDeque;
use std::ops::Range;

use crate::attributes::Attributes;
use crate::metric::Point;
use crate::samples::Sample;

/// Estimated bytes of a sample besides itself: its entry in the order of arrival.
const SAMPLE_OVERHEAD: usize = 48;

/// The samples of one set of attributes in order of arrival; at least one.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) attributes: Attributes,
    pub(super) samples: VecDeque<Sample>,
    /// The number of the last export with a point.
    pub(super) export: u64,
    /// Without those of the samples.
    pub(super) bytes: usize,
}

impl Series {
    /// Returns the bytes of the sample. A value that repeats the last two extends the time of the last.
    pub(super) fn push(&mut self, sample: Sample, may_repeat: bool) -> Option<usize> {
        let before_last = self
            .samples
            .len()
            .checked_sub(2)
            .and_then(|index| self.samples.get(index));
        let is_repeated = may_repeat && before_last.is_some_and(|before| sample.repeats(before));
        if let Some(last) = self.samples.back_mut()
            && is_repeated
            && sample.repeats(last)
        {
            last.time_unix_nano = sample.time_unix_nano;
            return None;
        }
        let bytes = SAMPLE_OVERHEAD + sample.bytes;
        self.samples.push_back(sample);
        Some(bytes)
    }

    pub(super) fn point(&self, sample: &Sample) -> Point {
        Point {
            attributes: self.attributes.clone(),
            start_unix_nano: sample.start_unix_nano,
            time_unix_nano: sample.time_unix_nano,
            value: sample.point_value(),
        }
    }

    /// All points but the one of the metric's last export.
    pub(super) fn earlier_points(&self, last_export: u64) -> Vec<Point> {
        let of_last = usize::from(self.export == last_export);
        let earlier = self.samples.len().saturating_sub(of_last);
        self.samples
            .iter()
            .take(earlier)
            .map(|sample| self.point(sample))
            .collect()
    }

    /// The samples within a time, with the one before and the one after it.
    pub(super) fn around(&self, between: &Range<u64>) -> Vec<Sample> {
        let first = self
            .samples
            .partition_point(|sample| sample.time_unix_nano < between.start);
        let end = self
            .samples
            .partition_point(|sample| sample.time_unix_nano < between.end);
        self.samples
            .range(first.saturating_sub(1)..self.samples.len().min(end + 1))
            .cloned()
            .collect()
    }

    /// Removes the oldest sample. Returns its bytes; bounds that the next one shares are that one's now.
    pub(super) fn pop(&mut self) -> usize {
        let Some(oldest) = self.samples.pop_front() else {
            return 0;
        };
        let mut bytes = SAMPLE_OVERHEAD + oldest.bytes;
        if let Some(next) = self.samples.front_mut()
            && next.shares_bounds_of(&oldest)
        {
            next.bytes += oldest.bounds_bytes();
            bytes -= oldest.bounds_bytes();
        }
        bytes
    }
}

//! Equal steps of time, for charts.

use std::ops::Range;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};

use crate::format::utc;
use crate::numbers::double;

/// The most steps of a timeline.
pub(crate) const MAX_STEPS: usize = 500;

/// Equal steps of time. Values of a chart have one element for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Timeline {
    #[serde(rename = "start", serialize_with = "time")]
    start_unix_nano: u64,
    #[serde(rename = "step_ms", serialize_with = "milliseconds")]
    step_nanos: u64,
    steps: usize,
}

impl Timeline {
    /// `steps` is 1 to 500. Steps are at least a nanosecond long.
    pub(crate) fn new(range: &Range<u64>, steps: usize) -> Self {
        let steps = steps.clamp(1, MAX_STEPS);
        let length = range.end.saturating_sub(range.start);
        Self {
            start_unix_nano: range.start,
            step_nanos: length.div_ceil(u64::try_from(steps).unwrap_or(1)).max(1),
            steps,
        }
    }

    #[must_use]
    pub fn start(&self) -> DateTime<Utc> {
        utc(self.start_unix_nano)
    }

    #[must_use]
    pub fn end(&self) -> DateTime<Utc> {
        utc(self.end_unix_nano())
    }

    /// The length of a step.
    #[must_use]
    pub fn step(&self) -> Duration {
        Duration::from_nanos(self.step_nanos)
    }

    /// The number of steps.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// The step of a time, if it is within.
    pub(crate) fn index(&self, unix_nano: u64) -> Option<usize> {
        let nanos = unix_nano.checked_sub(self.start_unix_nano)?;
        let index = usize::try_from(nanos / self.step_nanos).ok()?;
        (index < self.steps).then_some(index)
    }

    /// The steps that `range` overlaps, each with the part of the range that is in it, from 0 to 1. An empty
    /// range is in the step of its end.
    pub(crate) fn parts(&self, range: Range<u64>) -> impl Iterator<Item = (usize, f64)> {
        let length = range.end.saturating_sub(range.start);
        let within = range.start.max(self.start_unix_nano)..range.end.min(self.end_unix_nano());
        let first = self
            .index(within.start)
            .filter(|_| length > 0 && within.start < within.end);
        let at_end = self
            .index(range.end)
            .filter(|_| length == 0)
            .map(|index| (index, 1.0));
        let steps = first.map_or(0..0, |first| first..self.steps);
        let overlap = move |index: usize| {
            let start = self.start_of(index).max(within.start);
            let end = self.start_of(index + 1).min(within.end);
            (start < end).then(|| (index, double(end - start) / double(length)))
        };
        steps.map_while(overlap).chain(at_end)
    }

    pub(crate) fn start_of(&self, index: usize) -> u64 {
        let steps = u64::try_from(index).unwrap_or(u64::MAX);
        self.start_unix_nano
            .saturating_add(steps.saturating_mul(self.step_nanos))
    }

    pub(crate) fn end_unix_nano(&self) -> u64 {
        self.start_of(self.steps)
    }
}

fn time<S: Serializer>(unix_nano: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    utc(*unix_nano).serialize(serializer)
}

fn milliseconds<S: Serializer>(nanos: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(double(*nanos) / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_in_one_step() {
        let timeline = Timeline::new(&(100..200), 10);
        let index = |time| timeline.index(time);
        assert_eq!(
            [
                index(99),
                index(100),
                index(109),
                index(110),
                index(199),
                index(200)
            ],
            [None, Some(0), Some(0), Some(1), Some(9), None]
        );
    }

    #[test]
    fn a_range_is_divided_among_the_steps_that_it_overlaps() {
        let timeline = Timeline::new(&(100..200), 10);
        let parts = |range| timeline.parts(range).collect::<Vec<_>>();
        assert_eq!(parts(105..125), [(0, 0.25), (1, 0.5), (2, 0.25)]);
        assert_eq!(parts(90..110), [(0, 0.5)]);
        assert_eq!(parts(195..205), [(9, 0.5)]);
        assert_eq!(parts(0..50), []);
        assert_eq!(parts(200..250), []);
        assert_eq!(parts(110..110), [(1, 1.0)]);
    }
}

//! What series were at each step of a chart: the growth of sums and distributions, the levels of gauges.

use std::ops::Range;

use super::stored::StoredSeries;
use crate::metric::Temporality;
use crate::numbers::{double, double_of_integer};
use crate::samples::{Sample, SampleValue};
use crate::timeline::Timeline;

/// What a series grew by, and between which times.
pub(super) struct Increase<'a> {
    pub(super) between: Range<u64>,
    pub(super) now: &'a Sample,
    /// The sample that counts from the same start; `None` for a difference, and after a restart.
    pub(super) before: Option<&'a Sample>,
}

/// The increases between the samples of a sum or a distribution.
pub(super) fn increases(series: &StoredSeries) -> Vec<Increase<'_>> {
    let mut increases = Vec::new();
    let mut previous: Option<&Sample> = None;
    for now in &series.samples {
        let before =
            previous.filter(|before| series.temporality != Temporality::Delta && continues(before, now));
        let start = match previous {
            Some(previous) if series.temporality != Temporality::Delta => {
                previous.time_unix_nano.max(now.start_unix_nano)
            }
            _ => now.start_unix_nano,
        };
        // The first sample of a counter whose start is not known says nothing of its rate.
        if start != 0 {
            increases.push(Increase {
                between: start.min(now.time_unix_nano)..now.time_unix_nano,
                now,
                before,
            });
        }
        previous = Some(now);
    }
    increases
}

/// Whether a sum or distribution grew since `before`, rather than that it began again.
fn continues(before: &Sample, now: &Sample) -> bool {
    let is_larger = match (&before.value, &now.value) {
        (SampleValue::Distribution(before), SampleValue::Distribution(now)) => {
            before.bounds == now.bounds
                && before.buckets.len() == now.buckets.len()
                && before.count <= now.count
                && before
                    .buckets
                    .iter()
                    .zip(&now.buckets)
                    .all(|(before, now)| before <= now)
        }
        _ => number(&before.value) <= number(&now.value),
    };
    before.start_unix_nano == now.start_unix_nano && before.time_unix_nano <= now.time_unix_nano && is_larger
}

/// The number of values of a distribution.
fn number(value: &SampleValue) -> f64 {
    match value {
        SampleValue::Int(value) => double_of_integer(*value),
        SampleValue::Double(value) => *value,
        SampleValue::Distribution(distribution) => double(distribution.count),
    }
}

/// A second, `None` in steps that no increase covers.
pub(super) fn rate(increases: &[Increase<'_>], timeline: &Timeline) -> Vec<Option<f64>> {
    let mut rate = vec![None; timeline.steps()];
    let seconds = timeline.step().as_secs_f64();
    for increase in increases {
        let before = increase.before.map_or(0.0, |before| number(&before.value));
        let grown = number(&increase.now.value) - before;
        for (step, part) in timeline.parts(increase.between.clone()) {
            if let Some(rate) = rate.get_mut(step) {
                *rate = Some(rate.unwrap_or_default() + grown * part / seconds);
            }
        }
    }
    rate
}

/// The last value of each step. A value lasts until the next one is measured.
pub(super) fn levels(series: &StoredSeries, timeline: &Timeline) -> Vec<Option<f64>> {
    let mut levels = vec![None; timeline.steps()];
    let mut samples = series.samples.iter().peekable();
    let mut last: Option<&Sample> = None;
    for (step, level) in levels.iter_mut().enumerate() {
        let end = timeline.start_of(step + 1);
        let mut is_measured = false;
        while let Some(sample) = samples.next_if(|sample| sample.time_unix_nano < end) {
            is_measured = sample.time_unix_nano >= timeline.start_of(step);
            last = Some(sample);
        }
        if is_measured || samples.peek().is_some() {
            *level = last.map(|sample| number(&sample.value));
        }
    }
    levels
}

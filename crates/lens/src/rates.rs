//! Traces by the name of their root: how many, how many failed, and how long they took.

use std::collections::HashMap;
use std::ops::Range;
use std::time::Duration;

use serde::Serialize;

use crate::format::milliseconds_or_null;
use crate::numbers::quantile;
use crate::timeline::Timeline;

/// The most names; those with the fewest traces are left out.
const MAX_NAMES: usize = 20;
/// The least length of a timeline whose start is open.
const MIN_NANOS: u64 = 60_000_000_000;

/// Charts of the traces that a search matches.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rates {
    pub timeline: Timeline,
    /// The most frequent first.
    pub roots: Vec<RootSeries>,
    /// The number of further names of roots.
    pub more: usize,
    /// Whether the search ended because it had examined as much as one search may.
    pub partial: bool,
}

/// The traces whose root has one name.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RootSeries {
    pub root_name: String,
    /// Over the whole time.
    pub total: RootStep,
    /// In each step of the timeline.
    pub steps: Vec<RootStep>,
}

/// The traces that started in a step of time. Durations are of the whole traces, `None` without traces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct RootStep {
    pub count: usize,
    /// The number of traces with a failed span.
    pub errors: usize,
    #[serde(rename = "p50_ms", serialize_with = "milliseconds_or_null")]
    pub p50: Option<Duration>,
    #[serde(rename = "p95_ms", serialize_with = "milliseconds_or_null")]
    pub p95: Option<Duration>,
    #[serde(rename = "p99_ms", serialize_with = "milliseconds_or_null")]
    pub p99: Option<Duration>,
}

/// The starts, durations and results of traces, by the name of their root.
#[derive(Debug, Default)]
pub(crate) struct RootSamples(HashMap<String, Vec<RootSample>>);

#[derive(Debug, Clone, Copy)]
pub(crate) struct RootSample {
    pub(crate) start_unix_nano: u64,
    pub(crate) duration_nanos: u64,
    pub(crate) has_failed: bool,
}

impl RootSamples {
    pub(crate) fn add(&mut self, root_name: &str, sample: RootSample) {
        match self.0.get_mut(root_name) {
            Some(samples) => samples.push(sample),
            None => _ = self.0.insert(root_name.to_owned(), vec![sample]),
        }
    }

    /// Where `between` is open, the timeline begins with the first trace or ends with the last, and is at
    /// least a minute long: a rate of a shorter time says little.
    pub(crate) fn rates(self, between: &Range<u64>, steps: usize, partial: bool) -> Rates {
        let starts = || self.0.values().flatten().map(|sample| sample.start_unix_nano);
        let first = starts().min().unwrap_or_default();
        let last = starts().max().unwrap_or_default();
        let start = if between.start == 0 {
            first.min(last.saturating_sub(MIN_NANOS))
        } else {
            between.start
        };
        let end = if between.end == u64::MAX {
            last.saturating_add(1)
        } else {
            between.end
        };
        let timeline = Timeline::new(&(start..end), steps);

        let mut by_name: Vec<_> = self.0.into_iter().collect();
        by_name.sort_by(|(a, of_a), (b, of_b)| of_b.len().cmp(&of_a.len()).then(a.cmp(b)));
        let more = by_name.len().saturating_sub(MAX_NAMES);
        by_name.truncate(MAX_NAMES);
        let series = |(root_name, samples): (String, Vec<_>)| RootSeries::of(root_name, &samples, &timeline);
        Rates {
            timeline,
            roots: by_name.into_iter().map(series).collect(),
            more,
            partial,
        }
    }
}

impl RootSeries {
    fn of(root_name: String, samples: &[RootSample], timeline: &Timeline) -> Self {
        let mut by_step: Vec<Vec<RootSample>> = vec![Vec::new(); timeline.steps()];
        for sample in samples {
            let step = timeline
                .index(sample.start_unix_nano)
                .and_then(|index| by_step.get_mut(index));
            if let Some(step) = step {
                step.push(*sample);
            }
        }
        Self {
            root_name,
            total: RootStep::of(samples),
            steps: by_step.iter().map(|samples| RootStep::of(samples)).collect(),
        }
    }
}

impl RootStep {
    fn of(samples: &[RootSample]) -> Self {
        let mut durations: Vec<u64> = samples.iter().map(|sample| sample.duration_nanos).collect();
        durations.sort_unstable();
        Self {
            count: samples.len(),
            errors: samples.iter().filter(|sample| sample.has_failed).count(),
            p50: quantile(&durations, 500),
            p95: quantile(&durations, 950),
            p99: quantile(&durations, 990),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_has_the_traces_that_started_in_it() {
        let mut samples = RootSamples::default();
        for (start, duration, has_failed) in [(100, 10, false), (109, 30, true), (150, 20, false)] {
            let sample = RootSample {
                start_unix_nano: start,
                duration_nanos: duration,
                has_failed,
            };
            samples.add("POST /api/orders", sample);
        }
        let rates = samples.rates(&(100..200), 10, false);
        let root = &rates.roots[0];
        let step = |index: usize| {
            (
                root.steps[index].count,
                root.steps[index].errors,
                root.steps[index].p50,
            )
        };
        assert_eq!(step(0), (2, 1, Some(Duration::from_nanos(10))));
        assert_eq!(step(1), (0, 0, None));
        assert_eq!(step(5), (1, 0, Some(Duration::from_nanos(20))));
        assert_eq!(
            (root.total.count, root.total.p99),
            (3, Some(Duration::from_nanos(30)))
        );
    }

    #[test]
    fn only_the_most_frequent_names_have_a_series() {
        let mut samples = RootSamples::default();
        for name in 0..100 {
            for start in 0..=name {
                let sample = RootSample {
                    start_unix_nano: start,
                    duration_nanos: 1,
                    has_failed: false,
                };
                samples.add(&name.to_string(), sample);
            }
        }
        let rates = samples.rates(&(0..u64::MAX), 10, false);
        assert_eq!((rates.roots.len(), rates.more), (MAX_NAMES, 80));
        assert_eq!(rates.roots[0].root_name, "99");
        assert_eq!(rates.timeline.index(99), Some(9));
    }
}

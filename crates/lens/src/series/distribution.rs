//! A distribution over time: its buckets, mean and percentiles in each step of a chart.

use std::sync::Arc;

use serde::Serialize;

use super::growth::increases;
use super::stored::StoredSeries;
use crate::numbers::double;
use crate::samples::{Distribution, SampleValue};
use crate::timeline::Timeline;

/// A distribution over time. The percentiles are interpolated in their buckets, in the metric's unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct DistributionSeries {
    /// Upper bounds of the buckets, one fewer than there are buckets.
    pub bounds: Vec<f64>,
    /// For each step, how many values each bucket got. An export that covers several steps is divided among
    /// them, so these are no integers.
    pub counts: Vec<Vec<f64>>,
    pub mean: Vec<Option<f64>>,
    pub p50: Vec<Option<f64>>,
    pub p95: Vec<Option<f64>>,
    pub p99: Vec<Option<f64>>,
}

impl DistributionSeries {
    pub(super) fn of<'a>(series: impl Iterator<Item = &'a StoredSeries>, timeline: &Timeline) -> Self {
        let mut bounds: Option<&Arc<[f64]>> = None;
        let mut steps = vec![StepSum::default(); timeline.steps()];
        for increase in series.flat_map(increases) {
            let SampleValue::Distribution(now) = &increase.now.value else {
                continue;
            };
            // Distributions with other buckets cannot be added up.
            if **bounds.get_or_insert(&now.bounds) != now.bounds {
                continue;
            }
            let before = increase.before.and_then(|before| match &before.value {
                SampleValue::Distribution(before) => Some(&**before),
                SampleValue::Int(_) | SampleValue::Double(_) => None,
            });
            for (step, part) in timeline.parts(increase.between) {
                if let Some(step) = steps.get_mut(step) {
                    step.add(now, before, part);
                }
            }
        }
        let bounds = bounds.map(|bounds| bounds.to_vec()).unwrap_or_default();
        let percentile = |share| steps.iter().map(|step| step.percentile(&bounds, share)).collect();
        Self {
            mean: steps.iter().map(StepSum::mean).collect(),
            p50: percentile(0.5),
            p95: percentile(0.95),
            p99: percentile(0.99),
            counts: steps.into_iter().map(|step| step.buckets).collect(),
            bounds,
        }
    }
}

/// The values that fell into a step.
#[derive(Debug, Clone, Default)]
struct StepSum {
    buckets: Vec<f64>,
    count: f64,
    sum: f64,
}

impl StepSum {
    fn add(&mut self, now: &Distribution, before: Option<&Distribution>, part: f64) {
        let old = |index: usize| {
            before
                .and_then(|before| before.buckets.get(index))
                .copied()
                .unwrap_or(0)
        };
        self.buckets
            .resize(now.buckets.len().max(self.buckets.len()), 0.0);
        for (index, (sum, now)) in self.buckets.iter_mut().zip(&now.buckets).enumerate() {
            *sum += double(now.saturating_sub(old(index))) * part;
        }
        let (count, sum) = before.map_or((0, None), |before| (before.count, before.sum));
        self.count += double(now.count.saturating_sub(count)) * part;
        self.sum += (now.sum.unwrap_or_default() - sum.unwrap_or_default()) * part;
    }

    fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }

    /// The value below which `share` of the values are. The first bucket begins at 0 if its bound is above;
    /// the last has no upper bound, so that its lower bound stands for its values.
    fn percentile(&self, bounds: &[f64], share: f64) -> Option<f64> {
        let total: f64 = self.buckets.iter().sum();
        if total <= 0.0 {
            return None;
        }
        let mut left = share * total;
        let mut lower = bounds.first().map(|bound| bound.min(0.0))?;
        for (count, upper) in self.buckets.iter().zip(bounds) {
            if left <= *count && *count > 0.0 {
                return Some(lower + (upper - lower) * left / count);
            }
            left -= count;
            lower = *upper;
        }
        Some(lower)
    }
}

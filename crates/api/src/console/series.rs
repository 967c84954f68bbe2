//! Samples as the points of charts: 15 minutes in steps of 10 seconds, or 24 hours in steps of 15 minutes. A
//! chart ends at a full step, so that it changes only with each step, and open consoles get it only then.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, DurationRound, SecondsFormat, TimeDelta, Utc};
use serde::Deserialize;
use store::{SAMPLE_LENGTH, Sample};
use ui::{Label, Mark};

/// Marks in one chart; more would cover it.
const MARKS: usize = 3;

/// What the charts show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) enum Range {
    #[default]
    Minutes,
    Day,
}

#[derive(Deserialize)]
pub(super) struct RangeQuery {
    range: Option<String>,
}

impl RangeQuery {
    pub(super) fn range(&self) -> Range {
        match self.range.as_deref() {
            Some("24h") => Range::Day,
            _ => Range::Minutes,
        }
    }
}

impl Range {
    pub(super) fn period(self) -> TimeDelta {
        match self {
            Self::Minutes => TimeDelta::minutes(15),
            Self::Day => TimeDelta::hours(24),
        }
    }

    /// Of one point.
    fn step(self) -> TimeDelta {
        match self {
            Self::Minutes => TimeDelta::seconds(10),
            Self::Day => TimeDelta::minutes(15),
        }
    }

    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Minutes => "the last 15 minutes",
            Self::Day => "the last 24 hours",
        }
    }

    pub(super) fn short(self) -> &'static str {
        match self {
            Self::Minutes => "15 min",
            Self::Day => "24 h",
        }
    }

    pub(super) fn query(self) -> &'static str {
        match self {
            Self::Minutes => "15m",
            Self::Day => "24h",
        }
    }

    /// Where a chart begins: it ends with the step that is under way.
    fn start(self, now: DateTime<Utc>) -> DateTime<Utc> {
        let end = now.duration_trunc(self.step()).unwrap_or(now) + self.step();
        end - self.period()
    }

    /// The samples by steps.
    pub(super) fn points(self, samples: &[Arc<Sample>], now: DateTime<Utc>) -> Vec<Point> {
        let (start, step) = (self.start(now), self.step().num_seconds());
        let count = usize::try_from(self.period().num_seconds() / step).unwrap_or(0);
        let mut points = vec![Point::default(); count];
        for sample in samples {
            let index = usize::try_from((sample.at - start).num_seconds() / step);
            if let Some(point) = index.ok().and_then(|index| points.get_mut(index)) {
                point.samples.push(Arc::clone(sample));
            }
        }
        points
    }

    /// The texts of the time axis.
    pub(super) fn labels(self, now: DateTime<Utc>) -> Vec<Label> {
        let start = self.start(now);
        let mut labels: Vec<Label> = (0..3)
            .map(|third| {
                let at = start + self.period() * third / 3;
                Label {
                    at: f64::from(third) / 3.0,
                    text: at.format("%H:%M").to_string(),
                    time: Some(at.to_rfc3339_opts(SecondsFormat::Secs, true)),
                }
            })
            .collect();
        labels.push(Label {
            at: 1.0,
            text: "now".to_owned(),
            time: None,
        });
        labels
    }
}

/// The samples of one step; none where no worker wrote one.
#[derive(Debug, Clone, Default)]
pub(super) struct Point {
    pub(super) samples: Vec<Arc<Sample>>,
}

impl Point {
    pub(super) fn per_second(&self, count: impl Fn(&Sample) -> i64) -> Option<f64> {
        let total: i64 = self.samples.iter().map(|sample| count(sample)).sum();
        let seconds = f64::from(u32::try_from(self.samples.len()).unwrap_or(0)) * SAMPLE_LENGTH.as_secs_f64();
        (seconds > 0.0).then(|| number(total) / seconds)
    }
}

/// The largest value of these samples.
pub(super) fn most(samples: &[Arc<Sample>], value: impl Fn(&Sample) -> Option<f64>) -> Option<f64> {
    let values = samples.iter().filter_map(|sample| value(sample));
    values.reduce(f64::max)
}

/// A mark where the gateway became unavailable, with how long it was.
pub(super) fn outages(points: &[Point]) -> Vec<Mark> {
    let mut outages: Vec<(usize, Duration)> = Vec::new();
    let mut was_available = true;
    for (index, point) in points.iter().enumerate() {
        for sample in &point.samples {
            let available = sample
                .state
                .and_then(|state| state.gateway_available)
                .unwrap_or(true);
            if !available && was_available {
                outages.push((index, Duration::ZERO));
            }
            if let Some((_, duration)) = outages.last_mut().filter(|_| !available) {
                *duration += SAMPLE_LENGTH;
            }
            was_available = available;
        }
    }
    let place = |index: usize| f64::from(u32::try_from(index).unwrap_or(0));
    let latest = outages
        .get(outages.len().saturating_sub(MARKS)..)
        .unwrap_or_default();
    let marks = latest.iter().map(|(index, duration)| Mark {
        at: place(*index) / place(points.len()).max(1.0),
        text: format!("gateway unavailable {}", ui::duration(*duration)),
    });
    marks.collect()
}

/// Counts are far below 2^32.
pub(super) fn number(count: i64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use store::SampledState;

    use super::*;

    fn sample(at: DateTime<Utc>, available: bool) -> Arc<Sample> {
        let state = SampledState {
            gateway_available: Some(available),
            ..SampledState::default()
        };
        Arc::new(Sample {
            at,
            created: 50,
            state: Some(state),
            ..Sample::default()
        })
    }

    #[test]
    fn a_chart_changes_only_with_each_step_and_marks_outages() {
        let now: DateTime<Utc> = "2026-11-27T10:15:03Z".parse().unwrap();
        let at = |seconds: i64| now - TimeDelta::seconds(3 + seconds);
        let samples = [
            sample(at(40), true),
            sample(at(30), false),
            sample(at(20), false),
            sample(at(10), true),
        ];
        let points = Range::Minutes.points(&samples, now);
        let later = Range::Minutes.points(&samples, now + TimeDelta::seconds(6));
        let rates = |points: &[Point]| {
            points
                .iter()
                .map(|point| point.per_second(|s| s.created))
                .collect::<Vec<_>>()
        };
        assert_eq!(rates(&points), rates(&later));
        assert_eq!(
            (points.len(), rates(&points)[88], rates(&points)[89]),
            (90, Some(5.0), None)
        );
        let marks = outages(&points);
        assert_eq!(
            (marks.len(), marks[0].text.as_str()),
            (1, "gateway unavailable 20 s")
        );
        let labels = Range::Day.labels(now);
        assert_eq!(
            (labels[0].text.as_str(), labels[3].text.as_str()),
            ("10:30", "now")
        );
    }
}

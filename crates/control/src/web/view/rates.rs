//! The chart of accepted and final orders.

use askama::Template;
use chrono::{DateTime, TimeDelta, Utc};
use ui::{Chart, Colour, Label, Mark, Series};

use crate::audit::Known;
use crate::web::shared::Shared;

/// What the chart shows: slots of some seconds.
const SLOTS: i32 = 100;
const SLOT_SECONDS: i32 = 3;
/// A gap of the samples: the audit pauses for less.
const MAX_GAP_SECONDS: i64 = 12;

#[derive(Template)]
#[template(path = "rates.html")]
pub(in crate::web) struct Rates {
    chart: Option<String>,
}

impl Rates {
    pub(in crate::web) fn of(shared: &Shared) -> Self {
        let known = shared.parts.audit.known();
        let length = TimeDelta::seconds(i64::from(SLOTS * SLOT_SECONDS));
        // Slots begin at multiples of their length: the chart moves by whole ones.
        let slot = i64::from(SLOT_SECONDS);
        let end = DateTime::from_timestamp(Utc::now().timestamp() / slot * slot, 0).unwrap_or_default();
        let start = end - length;
        let (accepted, finals) = rates(&known, start);
        let at = |time: DateTime<Utc>| {
            let millis = |delta: TimeDelta| i32::try_from(delta.num_milliseconds()).unwrap_or(i32::MAX);
            f64::from(millis(time - start)) / f64::from(millis(length))
        };
        let events = shared.parts.system.journal.events_since(start);
        let marks = events.into_iter().filter(|event| event.part.is_some());
        let last = |values: &[Option<f64>]| values.iter().rev().flatten().next().copied().unwrap_or_default();
        let chart = Chart {
            description: format!(
                "Orders per second in the last 5 minutes: {} accepted and {} final at the end",
                ui::decimal(last(&accepted)),
                ui::decimal(last(&finals))
            ),
            series: vec![
                Series::area(&accepted, Colour::First),
                Series::line(&finals, Colour::Third),
            ],
            labels: [0.0, 0.5, 1.0].map(|at| label(at, start, length)).into(),
            marks: marks
                .map(|event| Mark {
                    at: at(event.at),
                    text: event.text,
                })
                .collect(),
            least_top: 10.0,
            unit: ui::decimal,
        };
        let is_empty = accepted.iter().all(Option::is_none);
        Self {
            chart: (!is_empty).then(|| chart.to_string()),
        }
    }
}

fn label(at: f64, start: DateTime<Utc>, length: TimeDelta) -> Label {
    if at >= 1.0 {
        return Label {
            at,
            text: "now".to_owned(),
            time: None,
        };
    }
    let time = if at > 0.0 { start + length / 2 } else { start };
    Label {
        at,
        text: time.format("%H:%M").to_string(),
        time: Some(time.to_rfc3339()),
    }
}

/// Orders per second that were accepted and became final, in each slot from `start`.
fn rates(known: &Known, start: DateTime<Utc>) -> (Vec<Option<f64>>, Vec<Option<f64>>) {
    let total_at = |at: DateTime<Utc>| {
        let before = known.samples.iter().rev().find(|(time, ..)| *time <= at);
        before.filter(|(time, ..)| at - *time < TimeDelta::seconds(MAX_GAP_SECONDS))
    };
    let slots = (0..SLOTS).map(|slot| {
        let from = start + TimeDelta::seconds(i64::from(slot * SLOT_SECONDS));
        let (_, accepted, finals) = total_at(from)?;
        let (_, accepted_later, finals_later) = total_at(from + TimeDelta::seconds(SLOT_SECONDS.into()))?;
        let rate = |from: &u64, to: &u64| {
            let count = u32::try_from(to.saturating_sub(*from)).unwrap_or(u32::MAX);
            f64::from(count) / f64::from(SLOT_SECONDS)
        };
        Some((rate(accepted, accepted_later), rate(finals, finals_later)))
    });
    slots.map(Option::unzip).unzip()
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    #[test]
    fn a_rate_is_the_difference_of_two_totals_and_a_gap_has_none() {
        let start = Utc::now();
        let at = |seconds| start + TimeDelta::seconds(seconds);
        let known = Known {
            samples: VecDeque::from([(at(0), 10, 0), (at(3), 40, 6), (at(30), 100, 100)]),
            ..Known::default()
        };
        let (accepted, finals) = rates(&known, start);
        assert_eq!((accepted[0], finals[0]), (Some(10.0), Some(2.0)));
        assert_eq!(accepted[1], Some(0.0));
        assert_eq!(accepted[7], None);
        assert_eq!(accepted.len(), 100);
    }
}

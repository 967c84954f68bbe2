//! The axes of charts over time.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use ui::Label;

use crate::timeline::Timeline;

/// Where the minutes of the labels would be the same, or almost.
const WITH_SECONDS: TimeDelta = TimeDelta::minutes(5);

/// Start, middle and end.
pub(super) fn labels(timeline: &Timeline) -> Vec<Label> {
    let (start, end) = (timeline.start(), timeline.end());
    let middle = start + (end - start) / 2;
    let format = if end - start <= WITH_SECONDS {
        "%H:%M:%S"
    } else {
        "%H:%M"
    };
    [(0.0, start), (0.5, middle), (1.0, end)]
        .map(|(at, time)| label(at, time, format))
        .into()
}

fn label(at: f64, time: DateTime<Utc>, format: &str) -> Label {
    Label {
        at,
        text: time.format(format).to_string(),
        time: Some(time.to_rfc3339_opts(SecondsFormat::Secs, true)),
    }
}

/// A number of seconds at an axis.
pub(super) fn seconds(seconds: f64) -> String {
    ui::duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

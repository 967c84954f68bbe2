//! The time range of a page: the last minutes, or everything in memory.

use std::ops::Range;

use super::params::times;
use super::problem::Problem;

/// The choices of a page, as values of `last`.
pub(super) const CHOICES: [(&str, &str); 4] = [
    ("1m", "1 minute"),
    ("5m", "5 minutes"),
    ("15m", "15 minutes"),
    ("1h", "1 hour"),
];

/// Empty for everything that lens holds.
#[derive(Debug, Clone, Default)]
pub(super) struct Period {
    last: String,
    range: Option<Range<u64>>,
}

impl Period {
    /// The value of `last`: `30s`, `5m`, `1h`; empty for everything.
    pub(super) fn parse(last: &str) -> Result<Self, Problem> {
        let range = match last {
            "" => None,
            last => Some(times(None, None, Some(last))?),
        };
        Ok(Self {
            last: last.to_owned(),
            range,
        })
    }

    pub(super) fn is(&self, last: &str) -> bool {
        self.last == last
    }

    pub(super) fn words(&self) -> String {
        let known = CHOICES.iter().find(|(last, _)| self.is(last));
        match known {
            Some((_, words)) => format!("the last {}", words.trim_start_matches("1 ")),
            None if self.last.is_empty() => "everything in memory".to_owned(),
            None => format!("the last {}", self.last),
        }
    }

    /// Nanoseconds since the Unix epoch. The end is open: clocks of senders may be ahead.
    pub(super) fn range(&self) -> Range<u64> {
        self.range.clone().unwrap_or(0..u64::MAX)
    }
}

//! How durations, times, counts and received texts are written for people.

use std::borrow::Borrow;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::Serializer;

/// `3.10 ms`; seconds from 10 s on, minutes from 10 min on, hours from 10 h on.
pub(crate) fn readable(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match duration.as_secs() {
        0..10 => format!("{:.2} ms", seconds * 1e3),
        10..600 => format!("{seconds:.2} s"),
        600..36_000 => format!("{:.1} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

/// The time of nanoseconds since the Unix epoch; the epoch if it exceeds an `i64`.
pub(crate) fn utc(unix_nano: u64) -> DateTime<Utc> {
    DateTime::from_timestamp_nanos(i64::try_from(unix_nano).unwrap_or_default())
}

/// JSON: in milliseconds, rounded to a microsecond.
pub(crate) fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((duration.as_secs_f64() * 1e6).round() / 1e3)
}

/// As [`milliseconds`], or null.
pub(crate) fn milliseconds_or_null<S: Serializer>(
    duration: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match duration {
        Some(duration) => milliseconds(duration, serializer),
        None => serializer.serialize_none(),
    }
}

/// `1 span`, `2 spans`.
pub(crate) fn count(number: impl Borrow<usize>, noun: &str) -> String {
    let number = *number.borrow();
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The name of a span.
pub(crate) fn named(name: &str) -> &str {
    if name.is_empty() { "(no name)" } else { name }
}

/// Replaces control characters and direction marks: received texts are untrusted and could move a terminal's
/// cursor or reverse the direction of writing.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if is_unsafe(c) { '\u{fffd}' } else { c })
        .collect()
}

/// Whether a character of a received text is replaced.
pub(crate) fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_that_keeps_numbers_short() {
        let durations = [
            (0, "0.00 ms"),
            (412_000, "0.41 ms"),
            (48_130_000, "48.13 ms"),
            (9_999_000_000, "9999.00 ms"),
            (59_000_000_000, "59.00 s"),
            (900_000_000_000, "15.0 min"),
            (40_000_000_000_000, "11.1 h"),
        ];
        for (nanos, expected) in durations {
            assert_eq!(readable(Duration::from_nanos(nanos)), expected);
        }
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\u{202e}c"), "a\u{fffd}[31mb\u{fffd}c");
    }
}

//! A trace drawn over time: for a terminal ([`text`]) and for a browser ([`html`]). Here is what both need.

pub(crate) mod html;
pub(crate) mod text;

use std::time::Duration;

use crate::trace::{Span, Trace};

/// The time that a drawing spans, and where in it a moment lies.
struct Scale {
    start: u64,
    nanos: u128,
}

impl Scale {
    fn of(trace: &Trace) -> Self {
        Self {
            start: trace.start_unix_nano(),
            nanos: trace.duration().as_nanos(),
        }
    }

    /// From the start of the trace to this moment; zero if it lies before.
    fn offset(&self, unix_nano: u64) -> Duration {
        Duration::from_nanos(unix_nano.saturating_sub(self.start))
    }

    /// The first cell and the number of cells of a span's bar, at least one, when the whole trace takes `cells`.
    fn bar(&self, span: &Span, cells: usize) -> (usize, usize) {
        let at = |time: Duration, cells: usize| {
            let cell = (2 * time.as_nanos() * cells_wide(cells) + self.nanos).checked_div(2 * self.nanos);
            usize::try_from(cell.unwrap_or_default())
                .unwrap_or(cells)
                .min(cells)
        };
        let offset = self.offset(span.start_unix_nano);
        let first = at(offset, cells).min(cells.saturating_sub(1));
        let end = if self.nanos == 0 {
            cells
        } else {
            at(offset + span.duration(), cells)
        };
        (first, end.saturating_sub(first).max(1))
    }
}

fn cells_wide(cells: usize) -> u128 {
    u128::try_from(cells).unwrap_or(u128::MAX)
}

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

/// `1 span`, `2 spans`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// The text without what moves a terminal's cursor or turns the direction of writing: received texts are not trusted.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() || is_direction_mark(c) {
                '\u{fffd}'
            } else {
                c
            }
        })
        .collect()
}

fn is_direction_mark(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `error.type` of a failed span, or that of the exception it recorded.
fn error_type(span: &Span) -> String {
    let recorded = span
        .events
        .iter()
        .find_map(|event| event.attributes.get("exception.type"));
    let kind = span.attributes.get("error.type").or(recorded);
    kind.map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{span, trace_id};

    fn bar_of(start: u64, end: u64, cells: usize) -> (usize, usize) {
        let spans = vec![span(1, 0, "all", 1_000..2_000), span(2, 1, "part", start..end)];
        let trace = Trace {
            trace_id: trace_id(1),
            spans,
        };
        Scale::of(&trace).bar(&trace.spans[1], cells)
    }

    #[test]
    fn a_bar_lies_where_its_span_lies_and_never_outside() {
        assert_eq!(bar_of(1_000, 2_000, 10), (0, 10));
        assert_eq!(bar_of(1_500, 2_000, 10), (5, 5));
        assert_eq!(bar_of(1_200, 1_400, 10), (2, 2));
        assert_eq!(bar_of(2_000, 2_000, 10), (9, 1));
        assert_eq!(bar_of(1_500, 1_400, 10), (5, 1));
    }

    #[test]
    fn a_trace_without_duration_still_has_bars() {
        let trace = Trace {
            trace_id: trace_id(1),
            spans: vec![span(1, 0, "a", 5..5)],
        };
        assert_eq!(Scale::of(&trace).bar(&trace.spans[0], 10), (0, 10));
    }

    #[test]
    fn durations_keep_to_units_that_a_person_can_compare() {
        let shown = [
            0,
            412_000,
            48_130_000,
            9_999_000_000,
            59_000_000_000,
            900_000_000_000,
            40_000_000_000_000,
        ]
        .map(|nanos| readable(Duration::from_nanos(nanos)));
        assert_eq!(
            shown,
            [
                "0.00 ms",
                "0.41 ms",
                "48.13 ms",
                "9999.00 ms",
                "59.00 s",
                "15.0 min",
                "11.1 h"
            ]
        );
    }

    #[test]
    fn escape_sequences_do_not_reach_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\u{202e}c"), "a\u{fffd}[31mb\u{fffd}c");
    }
}

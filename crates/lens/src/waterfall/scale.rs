//! Maps the times of a trace to the cells of a drawing.

use std::time::Duration;

use crate::trace::{Span, Trace};

/// The time range of a drawing.
pub(crate) struct Scale {
    start: u64,
    nanos: u128,
}

impl Scale {
    pub(crate) fn of(trace: &Trace) -> Self {
        Self::new(trace, trace.duration())
    }

    /// A drawing that begins with the trace and has this length.
    pub(crate) fn new(trace: &Trace, length: Duration) -> Self {
        Self {
            start: trace.start_unix_nano(),
            nanos: length.as_nanos(),
        }
    }

    /// The time since the start of the trace; zero for an earlier time.
    pub(crate) fn offset(&self, unix_nano: u64) -> Duration {
        Duration::from_nanos(unix_nano.saturating_sub(self.start))
    }

    /// The place of a time in a drawing of this width.
    pub(crate) fn place(&self, unix_nano: u64, width: usize) -> usize {
        let offset = self.offset(unix_nano).as_nanos();
        let place = (offset * cells_wide(width)).checked_div(self.nanos);
        usize::try_from(place.unwrap_or_default())
            .unwrap_or(width)
            .min(width)
    }

    /// The first cell and the number of cells, at least one, of a span's bar in a drawing of `cells` cells.
    pub(crate) fn bar(&self, span: &Span, cells: usize) -> (usize, usize) {
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

/// `error.type` of a failed span, else the type of the exception that it recorded.
pub(crate) fn error_type(span: &Span) -> String {
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
    fn a_bar_lies_where_its_span_lies_and_inside_the_drawing() {
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
}

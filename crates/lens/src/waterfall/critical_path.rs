//! The critical path of a trace: at each moment, the span that the end of the trace waited for.
//!
//! It is found from the end. A span waits for its child that ends last; before that child, for the child that
//! ended last until then; and the time between is its own. A child may end after its parent, as the
//! processing of a message does.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::nodes::{Nodes, Piece, TOP};
use super::wait::{Segment, Wait};
use crate::ids::SpanId;
use crate::tree::Tree;

/// Where the time of a trace went, from its start to its end, without a gap.
#[derive(Debug, Clone, PartialEq)]
pub struct CriticalPath<'a> {
    segments: Vec<Segment<'a>>,
}

impl<'a> CriticalPath<'a> {
    /// Takes time in proportion to the number of spans, for any depth.
    #[must_use]
    pub fn of(tree: &Tree<'a>) -> Self {
        let nodes = Nodes::of(tree);
        let mut segments = Vec::new();
        // The earliest piece is on top.
        let mut pieces = Vec::new();
        nodes.split(TOP, nodes.start(), nodes.end(), &mut pieces);
        while let Some(piece) = pieces.pop() {
            match piece {
                Piece::Child { node, from, until } => nodes.split(node, from, until, &mut pieces),
                Piece::Own(segment) => segments.push(segment),
            }
        }
        Self { segments }
    }

    /// In order of time.
    #[must_use]
    pub fn segments(&self) -> &[Segment<'a>] {
        &self.segments
    }

    /// From the start of the first span to the end of the last.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.segments.iter().map(Segment::duration).sum()
    }

    /// The time of each wait, longest first.
    #[must_use]
    pub fn sums(&self) -> Vec<(Wait<'a>, Duration)> {
        let mut sums: HashMap<Wait<'a>, Duration> = HashMap::new();
        for segment in &self.segments {
            *sums.entry(segment.wait).or_default() += segment.duration();
        }
        let mut sums: Vec<_> = sums.into_iter().collect();
        sums.sort_by(|(a, a_time), (b, b_time)| b_time.cmp(a_time).then(a.cmp(b)));
        sums
    }

    /// When the trace waited for each span itself, without the children of the span.
    #[must_use]
    pub fn by_span(&self) -> HashMap<SpanId, Vec<&Segment<'a>>> {
        let mut by_span: HashMap<SpanId, Vec<&Segment<'a>>> = HashMap::new();
        for segment in &self.segments {
            if let Some(span) = segment.span {
                by_span.entry(span.span_id).or_default().push(segment);
            }
        }
        by_span
    }
}

/// The longest wait: `61 % of 17 ms waited for PostgreSQL`. Names are as received.
impl fmt::Display for CriticalPath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let total = self.total();
        let Some((wait, longest)) = self.sums().into_iter().next().filter(|_| !total.is_zero()) else {
            return f.write_str("no time passed");
        };
        let percent = (200 * longest.as_nanos() + total.as_nanos()) / (2 * total.as_nanos());
        let of = format_args!("{percent} % of {}", ui::duration(total));
        match wait {
            Wait::Store(_) | Wait::Service(_) => write!(f, "{of} waited for {wait}"),
            Wait::Queue => write!(f, "{of} waited in the queue"),
            Wait::OwnCode => write!(f, "{of} was own code"),
            Wait::Unrecorded => write!(f, "{of} is covered by no span"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attributes::{Attributes, Value};
    use crate::fixtures::{span, trace_id};
    use crate::trace::{Span, SpanKind, Trace};

    fn of_kind(kind: SpanKind, service: &str, span: Span) -> Span {
        Span {
            kind,
            service: service.into(),
            ..span
        }
    }

    fn statement(span: Span) -> Span {
        let system = ("db.system.name".to_owned(), Value::String("postgresql".into()));
        Span {
            attributes: Attributes::from_iter([system]),
            ..of_kind(SpanKind::Client, "shop", span)
        }
    }

    /// `start-end wait` of each segment.
    fn path(spans: Vec<Span>) -> Vec<String> {
        let trace = Trace {
            trace_id: trace_id(1),
            spans,
        };
        let tree = trace.tree();
        let path = CriticalPath::of(&tree);
        assert_eq!(path.total(), trace.duration());
        let line = |one: &Segment<'_>| {
            let span = one.span.map_or("", |span| &span.name);
            format!(
                "{}-{} {span}: {}",
                one.start_unix_nano, one.end_unix_nano, one.wait
            )
        };
        path.segments().iter().map(line).collect()
    }

    #[test]
    fn a_request_waits_for_the_last_child_and_for_its_own_code() {
        let spans = vec![
            of_kind(SpanKind::Server, "shop", span(1, 0, "GET", 0..100)),
            statement(span(2, 1, "SELECT", 10..60)),
            statement(span(3, 1, "hidden", 20..50)),
            statement(span(4, 1, "UPDATE", 55..90)),
        ];
        assert_eq!(
            path(spans),
            [
                "0-10 GET: own code",
                "10-55 SELECT: PostgreSQL",
                "55-90 UPDATE: PostgreSQL",
                "90-100 GET: own code"
            ]
        );
    }

    #[test]
    fn a_message_is_processed_after_its_request_has_ended() {
        let spans = vec![
            of_kind(SpanKind::Server, "api", span(1, 0, "POST", 0..30)),
            of_kind(SpanKind::Producer, "api", span(2, 1, "send", 5..10)),
            of_kind(SpanKind::Consumer, "worker", span(3, 2, "process", 40..100)),
            of_kind(SpanKind::Client, "worker", span(4, 3, "pay", 50..90)),
            of_kind(SpanKind::Server, "bank", span(5, 4, "charge", 60..80)),
            of_kind(SpanKind::Internal, "bank", span(6, 5, "check", 65..70)),
        ];
        assert_eq!(
            path(spans),
            [
                "0-5 POST: own code",
                "5-10 send: queue",
                "10-40 : queue",
                "40-50 process: own code",
                "50-60 pay: bank",
                "60-65 charge: bank",
                "65-70 check: bank",
                "70-80 charge: bank",
                "80-90 pay: bank",
                "90-100 process: own code"
            ]
        );
    }

    #[test]
    fn a_gap_between_roots_and_a_child_outside_its_parent_are_no_error() {
        let spans = vec![
            span(1, 0, "a", 10..20),
            // The clock of another host is late.
            span(2, 1, "b", 5..15),
            span(3, 9, "orphan", 50..60),
        ];
        assert_eq!(
            path(spans),
            [
                "5-10 : no span",
                "10-15 b: own code",
                "15-20 a: own code",
                "20-50 : no span",
                "50-60 orphan: own code"
            ]
        );
        assert!(path(vec![span(1, 0, "a", 7..7)]).is_empty());
        let backwards = Span {
            end_unix_nano: 3,
            ..span(1, 0, "a", 7..7)
        };
        assert!(path(vec![backwards]).is_empty());
    }

    #[test]
    fn the_longest_wait_is_named() {
        let trace = Trace {
            trace_id: trace_id(1),
            spans: vec![
                span(1, 0, "GET", 0..20_000_000),
                statement(span(2, 1, "SELECT", 0..12_345_000)),
            ],
        };
        let path = CriticalPath::of(&trace.tree()).to_string();
        assert_eq!(path, "62 % of 20 ms waited for PostgreSQL");
    }

    #[test]
    fn a_very_deep_trace_has_a_path() {
        let spans = (1..20_000)
            .map(|id| span(id, id - 1, "deep", id..40_000 - id))
            .collect();
        assert!(path(spans).len() > 19_999);
    }
}

//! A row of the waterfall, with what opens below it. Bars are SVG attributes: the content security policy
//! forbids inline styles.

use std::collections::HashMap;
use std::time::Duration;

use super::lane::{Bar, MAX_DRAWN_DEPTH, WIDTH};
use super::log_line::{Level, LogLine};
use super::palette::Palette;
use crate::attributes::Attributes;
use crate::format::{count, named};
use crate::ids::{SpanId, TraceId};
use crate::log::LogRecord;
use crate::trace::{Dropped, Link, LinkFrom, Span, SpanKind, Trace};
use crate::tree::{Row, Tree};
use crate::waterfall::{CriticalPath, Scale, Segment, error_type};

/// The width of a tick, as the template draws it.
const TICK: usize = 25;

pub(super) struct SpanRow<'a> {
    pub(super) span: &'a Span,
    pub(super) depth: usize,
    pub(super) has_children: bool,
    pub(super) is_orphan: bool,
    /// Whether the parent is of another service.
    pub(super) is_first_of_service: bool,
    pub(super) is_open: bool,
    pub(super) colour: &'static str,
    pub(super) error: String,
    pub(super) bar: Bar,
    pub(super) critical: Vec<Bar>,
    pub(super) ticks: Vec<Tick>,
    pub(super) logs: Vec<LogLine>,
    pub(super) links: Vec<LinkTo<'a>>,
    pub(super) linked_by: Vec<&'a Span>,
    pub(super) linked_from: Vec<&'a LinkFrom>,
    waited: Duration,
    offset: Duration,
    start: u64,
}

/// A log record or an event at its time.
pub(super) struct Tick {
    pub(super) x: usize,
    pub(super) class: &'static str,
}

pub(super) struct LinkTo<'a> {
    pub(super) trace_id: TraceId,
    pub(super) span_id: SpanId,
    pub(super) name: String,
    pub(super) place: &'static str,
    pub(super) attributes: &'a Attributes,
}

/// What the rows of a trace have in common.
pub(super) struct Rows<'a> {
    pub(super) tree: &'a Tree<'a>,
    pub(super) scale: Scale,
    pub(super) palette: &'a Palette,
    /// The span that a link leads to.
    pub(super) open: Option<SpanId>,
    trace: &'a Trace,
    critical: HashMap<SpanId, Vec<&'a Segment<'a>>>,
    by_id: HashMap<SpanId, &'a Span>,
    linked_by: HashMap<SpanId, Vec<&'a Span>>,
    linked_from: HashMap<SpanId, Vec<&'a LinkFrom>>,
    logs: HashMap<SpanId, Vec<&'a LogRecord>>,
}

impl<'a> Rows<'a> {
    pub(super) fn of(
        trace: &'a Trace,
        tree: &'a Tree<'a>,
        path: &'a CriticalPath<'a>,
        logs: &'a [LogRecord],
        links_from: &'a [(SpanId, LinkFrom)],
        palette: &'a Palette,
    ) -> Self {
        let mut linked_by: HashMap<SpanId, Vec<&Span>> = HashMap::new();
        for span in &trace.spans {
            let here = span.links.iter().filter(|link| link.trace_id == trace.trace_id);
            for link in here {
                linked_by.entry(link.span_id).or_default().push(span);
            }
        }
        let mut linked_from: HashMap<SpanId, Vec<&LinkFrom>> = HashMap::new();
        for (to, from) in links_from {
            linked_from.entry(*to).or_default().push(from);
        }
        let mut of_span: HashMap<SpanId, Vec<&LogRecord>> = HashMap::new();
        for log in logs {
            if let Some(span) = log.span_id {
                of_span.entry(span).or_default().push(log);
            }
        }
        Self {
            tree,
            scale: Scale::of(trace),
            palette,
            open: None,
            trace,
            critical: path.by_span(),
            by_id: trace.spans.iter().map(|span| (span.span_id, span)).collect(),
            linked_by,
            linked_from,
            logs: of_span,
        }
    }

    pub(super) fn has(&self, id: SpanId) -> bool {
        self.by_id.contains_key(&id)
    }

    /// `below` is the next row.
    pub(super) fn row(&self, row: &Row<'a>, below: Option<&Row<'a>>) -> SpanRow<'a> {
        let span = row.span;
        let parent = span.parent_span_id.and_then(|parent| self.by_id.get(&parent));
        let segments = self.critical.get(&span.span_id).map_or(&[][..], Vec::as_slice);
        let logs = self.logs.get(&span.span_id).map_or(&[][..], Vec::as_slice);
        let tick = |time, class| Tick {
            x: self.scale.place(time, WIDTH).min(WIDTH - TICK),
            class,
        };
        let log_ticks = logs
            .iter()
            .map(|log| tick(log.time_unix_nano, Level::of(log.severity).class));
        let event_ticks = span
            .events
            .iter()
            .map(|event| tick(event.time_unix_nano, "event"));
        SpanRow {
            span,
            depth: row.depth,
            has_children: below.is_some_and(|below| below.depth > row.depth),
            is_orphan: row.orphan,
            is_first_of_service: parent.is_none_or(|parent| parent.service != span.service),
            is_open: self.open == Some(span.span_id),
            colour: self.palette.class(&span.service),
            error: error_type(span),
            bar: Bar::of(&self.scale, span.start_unix_nano, span.end_unix_nano),
            critical: segments
                .iter()
                .map(|one| Bar::of(&self.scale, one.start_unix_nano, one.end_unix_nano))
                .collect(),
            ticks: event_ticks.chain(log_ticks).collect(),
            logs: logs
                .iter()
                .map(|log| LogLine::in_trace(log, &self.scale))
                .collect(),
            links: span.links.iter().map(|link| self.link(link)).collect(),
            linked_by: self.linked_by.get(&span.span_id).cloned().unwrap_or_default(),
            linked_from: self.linked_from.get(&span.span_id).cloned().unwrap_or_default(),
            waited: segments.iter().map(|one| one.duration()).sum(),
            offset: self.scale.offset(span.start_unix_nano),
            start: self.trace.start_unix_nano(),
        }
    }

    fn link(&self, link: &'a Link) -> LinkTo<'a> {
        let is_here = link.trace_id == self.trace.trace_id;
        let known = self.by_id.get(&link.span_id).filter(|_| is_here);
        LinkTo {
            trace_id: link.trace_id,
            span_id: link.span_id,
            name: known.map_or_else(|| format!("span {}", link.span_id), |span| span.name.clone()),
            place: match known {
                Some(_) => "in this trace",
                None if is_here => "in this trace, not received",
                None => "in another trace",
            },
            attributes: &link.attributes,
        }
    }
}

impl SpanRow<'_> {
    pub(super) fn name(&self) -> &str {
        named(&self.span.name)
    }

    pub(super) fn drawn_depth(&self) -> usize {
        self.depth.min(MAX_DRAWN_DEPTH)
    }

    pub(super) fn is_critical(&self) -> bool {
        !self.critical.is_empty()
    }

    pub(super) fn duration(&self) -> String {
        ui::duration(self.span.duration())
    }

    pub(super) fn starts(&self) -> String {
        ui::duration(self.offset)
    }

    pub(super) fn offset(&self, unix_nano: &u64) -> String {
        ui::duration(Duration::from_nanos(unix_nano.saturating_sub(self.start)))
    }

    pub(super) fn waited(&self) -> Option<String> {
        (!self.waited.is_zero()).then(|| ui::duration(self.waited))
    }

    pub(super) fn kind(&self) -> &'static str {
        match self.span.kind {
            SpanKind::Server => "serves",
            SpanKind::Client => "calls",
            SpanKind::Producer => "sends",
            SpanKind::Consumer => "processes",
            SpanKind::Internal | SpanKind::Unspecified => "",
        }
    }

    pub(super) fn kind_words(&self) -> &'static str {
        match self.span.kind {
            SpanKind::Server => "A request to",
            SpanKind::Client => "A call to another system, by",
            SpanKind::Producer => "A message that was sent by",
            SpanKind::Consumer => "A message that was processed by",
            SpanKind::Internal | SpanKind::Unspecified => "A step of",
        }
    }

    pub(super) fn dropped(&self) -> Option<String> {
        let Dropped {
            attributes,
            events,
            links,
        } = self.span.dropped;
        let counts = [(attributes, "attribute"), (events, "event"), (links, "link")];
        let counts = counts.into_iter().filter(|(number, _)| *number > 0);
        let counts: Vec<String> = counts
            .map(|(number, noun)| count(usize::try_from(number).unwrap_or(usize::MAX), noun))
            .collect();
        (!counts.is_empty()).then(|| format!("The sender left out {}, by its own limits.", counts.join(", ")))
    }
}

//! Two traces side by side.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use askama::Template;
use serde::Deserialize;
use ui::Moment;

use super::api::find;
use super::frame::{Frame, SystemUrl, error_page, page};
use super::lane::{Bar, MAX_DRAWN_DEPTH};
use super::palette::Palette;
use super::params::given;
use super::waits;
use crate::comparison::{Pair, align};
use crate::format::utc;
use crate::ids::{SpanId, TraceId};
use crate::query;
use crate::search::TraceSearch;
use crate::storage::TelemetryStore;
use crate::summary::TraceSummary;
use crate::trace::{Span, Trace};
use crate::waterfall::{CriticalPath, Scale, Wait};

/// Pairs beyond this number are not shown.
const MAX_PAIRS: usize = 1_000;
/// Other traces that are offered for a comparison.
const MAX_OFFERED: usize = 20;

#[derive(Debug, Deserialize)]
pub(super) struct CompareQuery {
    a: Option<String>,
    b: Option<String>,
}

/// The first trace is chosen, the second not yet.
#[derive(Template)]
#[template(path = "compare_choice.html")]
struct Choice<'a> {
    frame: Frame<'a>,
    a: Option<Side>,
    offered: Vec<Offer>,
}

struct Offer {
    id: TraceId,
    start: Moment,
    duration: String,
    difference: Difference,
    errors: usize,
}

#[derive(Template)]
#[template(path = "compare.html")]
struct Comparison<'a> {
    frame: Frame<'a>,
    a: TraceId,
    b: TraceId,
    sides: [Side; 2],
    summary: String,
    waits: Vec<WaitRow>,
    rows: Vec<PairRow>,
    left_out: usize,
}

struct Side {
    letter: char,
    id: TraceId,
    name: String,
    duration: String,
    start: Moment,
}

struct WaitRow {
    colour: &'static str,
    name: String,
    a: String,
    b: String,
    difference: Difference,
}

struct PairRow {
    depth: usize,
    name: String,
    service: String,
    a: Option<Cell>,
    b: Option<Cell>,
    difference: Difference,
}

struct Cell {
    span_id: SpanId,
    duration: String,
    failed: bool,
    bar: Bar,
}

/// How much longer the second takes.
struct Difference {
    text: String,
    class: &'static str,
}

pub(super) async fn show(
    query: Query<CompareQuery>,
    store: Data<TelemetryStore>,
    system: Data<SystemUrl>,
) -> HttpResponse {
    let CompareQuery { a, b } = query.into_inner();
    let frame = Frame::of(&system, "Traces");
    let find = |id: Option<String>| given(&id).map(|id| find(&store, id)).transpose();
    match (find(a), find(b)) {
        (Ok(Some(a)), Ok(Some(b))) => page(&compared(frame, &Palette::of(store.services()), &a, &b)),
        (Ok(a), Ok(b)) => page(&choice(frame, &store, a.or(b).as_ref())),
        (Err(problem), _) | (_, Err(problem)) => error_page(frame, &problem),
    }
}

fn choice<'a>(frame: Frame<'a>, store: &TelemetryStore, a: Option<&Trace>) -> Choice<'a> {
    let offered = a.map_or_else(Vec::new, |a| same_root(store, a));
    Choice {
        frame,
        a: a.map(|a| Side::of('A', a)),
        offered: offered
            .into_iter()
            .map(|one| Offer {
                id: one.trace_id,
                start: Moment::recent(one.start),
                duration: ui::duration(one.duration),
                difference: Difference::of(a.map(Trace::duration).unwrap_or_default(), one.duration),
                errors: one.errors,
            })
            .collect(),
    }
}

fn compared<'a>(frame: Frame<'a>, palette: &Palette, a: &Trace, b: &Trace) -> Comparison<'a> {
    let (tree_a, tree_b) = (a.tree(), b.tree());
    let (path_a, path_b) = (CriticalPath::of(&tree_a), CriticalPath::of(&tree_b));
    let pairs = align(&tree_a, &tree_b);
    let length = a.duration().max(b.duration());
    let scales = [a, b].map(|trace| Scale::new(trace, length));
    let rows = pairs.iter().take(MAX_PAIRS);
    let waits = by_wait(&path_a, &path_b);
    Comparison {
        frame,
        a: a.trace_id,
        b: b.trace_id,
        sides: [Side::of('A', a), Side::of('B', b)],
        summary: summary(a.duration(), b.duration(), &waits),
        waits: waits
            .into_iter()
            .map(|(wait, a, b)| WaitRow {
                colour: waits::colour(wait, palette),
                name: wait.to_string(),
                a: ui::duration(a),
                b: ui::duration(b),
                difference: Difference::of(a, b),
            })
            .collect(),
        rows: rows.map(|pair| PairRow::of(pair, &scales)).collect(),
        left_out: pairs.len().saturating_sub(MAX_PAIRS),
    }
}

/// The time of each wait in both, the largest difference first.
fn by_wait<'a>(a: &CriticalPath<'a>, b: &CriticalPath<'a>) -> Vec<(Wait<'a>, Duration, Duration)> {
    let mut waits: BTreeMap<Wait<'a>, (Duration, Duration)> = BTreeMap::new();
    for (wait, time) in a.sums() {
        waits.entry(wait).or_default().0 = time;
    }
    for (wait, time) in b.sums() {
        waits.entry(wait).or_default().1 = time;
    }
    let mut waits: Vec<_> = waits.into_iter().map(|(wait, (a, b))| (wait, a, b)).collect();
    waits.sort_by_key(|(_, a, b)| std::cmp::Reverse(a.abs_diff(*b)));
    waits
}

/// `B took 24 ms longer than A, of which 18 ms were waits for PostgreSQL.`
fn summary(a: Duration, b: Duration, waits: &[(Wait<'_>, Duration, Duration)]) -> String {
    let total = ui::duration(a.abs_diff(b));
    let word = match b.cmp(&a) {
        Ordering::Greater => "longer",
        Ordering::Less => "shorter",
        Ordering::Equal => return "Both took the same time.".to_owned(),
    };
    let cause = waits.iter().find(|(_, in_a, in_b)| in_a.cmp(in_b) == a.cmp(&b));
    let cause = cause.map(|(wait, in_a, in_b)| {
        let what = match wait {
            Wait::Store(_) | Wait::Service(_) => format!("waiting for {wait}"),
            Wait::Queue => "waiting in the queue".to_owned(),
            Wait::OwnCode => "own code".to_owned(),
            _ => "time without a span".to_owned(),
        };
        format!(
            " The largest part is {what}: {} {word}.",
            ui::duration(in_a.abs_diff(*in_b))
        )
    });
    format!("B took {total} {word} than A.{}", cause.unwrap_or_default())
}

/// The newest other traces with a root of the same name.
fn same_root(store: &TelemetryStore, trace: &Trace) -> Vec<TraceSummary> {
    let tree = trace.tree();
    let name = tree.root().map_or("", |span| &span.name);
    let Ok(query) = query::Query::word("root", name).parse() else {
        return Vec::new();
    };
    let mut found = store.search_traces(&TraceSearch {
        query,
        limit: MAX_OFFERED + 1,
        ..TraceSearch::default()
    });
    found.items.retain(|one| one.trace_id != trace.trace_id);
    found.items
}

impl Side {
    fn of(letter: char, trace: &Trace) -> Self {
        let tree = trace.tree();
        Self {
            letter,
            id: trace.trace_id,
            name: tree.root().map(|span| span.name.clone()).unwrap_or_default(),
            duration: ui::duration(trace.duration()),
            start: Moment::precise(utc(trace.start_unix_nano())),
        }
    }
}

impl PairRow {
    fn of(pair: &Pair<'_>, [scale_a, scale_b]: &[Scale; 2]) -> Self {
        let either = pair.a.or(pair.b);
        let duration = |span: Option<&Span>| span.map(Span::duration);
        Self {
            depth: pair.depth.min(MAX_DRAWN_DEPTH),
            name: either.map(|span| span.name.clone()).unwrap_or_default(),
            service: either.map(|span| span.service.to_string()).unwrap_or_default(),
            a: pair.a.map(|span| Cell::of(span, scale_a)),
            b: pair.b.map(|span| Cell::of(span, scale_b)),
            difference: match (duration(pair.a), duration(pair.b)) {
                (Some(a), Some(b)) => Difference::of(a, b),
                (Some(_), None) => Difference::words("only in A"),
                _ => Difference::words("only in B"),
            },
        }
    }
}

impl Cell {
    fn of(span: &Span, scale: &Scale) -> Self {
        Self {
            span_id: span.span_id,
            duration: ui::duration(span.duration()),
            failed: span.failed(),
            bar: Bar::of(scale, span.start_unix_nano, span.end_unix_nano),
        }
    }
}

impl Difference {
    fn of(a: Duration, b: Duration) -> Self {
        let time = ui::duration(a.abs_diff(b));
        match b.cmp(&a) {
            Ordering::Greater => Self {
                text: format!("+{time}"),
                class: "bad-text",
            },
            Ordering::Less => Self {
                text: format!("−{time}"),
                class: "ok-text",
            },
            Ordering::Equal => Self::words("same"),
        }
    }

    fn words(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            class: "muted",
        }
    }
}

//! One trace: where its time went, and the waterfall of its spans.

use std::cmp::Reverse;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use askama::Template;
use serde::Deserialize;
use ui::Moment;

use super::api::find;
use super::filter::KeyLink;
use super::frame::{Frame, SystemUrl, error_page, page, render};
use super::live::Streams;
use super::log_line::LogLine;
use super::palette::Palette;
use super::problem::Problem;
use super::span_row::{Rows, SpanRow};
use super::waits::{Share, shares};
use crate::format::{named, utc};
use crate::ids::{SpanId, TraceId};
use crate::log::LogRecord;
use crate::storage::TelemetryStore;
use crate::trace::Trace;
use crate::waterfall::{CriticalPath, Segment, text};

/// More rows are on further pages, which keeps a page of a large trace fast.
const ROWS_PER_PAGE: usize = 500;
/// The parts of the axis.
const TICKS: u32 = 4;
/// How many of the longest waits are named.
const LONGEST_WAITS: usize = 3;

#[derive(Debug, Default, Deserialize)]
pub(super) struct TraceQuery {
    /// The span to open.
    span: Option<String>,
    /// The part of the rows, from 1.
    page: Option<usize>,
}

#[derive(Template)]
#[template(path = "trace.html")]
struct TracePage<'a> {
    frame: Frame<'a>,
    parts: TraceParts,
}

/// The live parts of the page, as HTML.
pub(super) struct TraceParts {
    head: String,
    name: String,
    time: String,
    waterfall: String,
}

#[derive(Template)]
#[template(path = "trace/head.html")]
struct Head<'a> {
    trace_id: TraceId,
    name: &'a str,
    errors: usize,
    spans: usize,
    duration: String,
    start: Moment,
    services: Vec<(&'a str, &'static str)>,
    keys: Vec<KeyLink>,
}

#[derive(Template)]
#[template(path = "trace/time.html")]
struct Time<'a> {
    summary: String,
    shares: Vec<Share>,
    longest: Vec<LongWait<'a>>,
}

struct LongWait<'a> {
    id: SpanId,
    name: &'a str,
    time: String,
}

#[derive(Template)]
#[template(path = "trace/waterfall.html")]
struct Waterfall<'a> {
    ticks: Vec<String>,
    rows: Vec<SpanRow<'a>>,
    pages: Vec<RowsPage>,
    other_logs: Vec<LogLine>,
}

struct RowsPage {
    number: usize,
    first: usize,
    last: usize,
    is_current: bool,
}

pub(super) async fn show(
    id: Path<String>,
    query: Query<TraceQuery>,
    store: Data<TelemetryStore>,
    system: Data<SystemUrl>,
) -> HttpResponse {
    let frame = Frame::of(&system, "Traces");
    let parts = find(&store, &id).and_then(|trace| parts(&store, &trace, &query));
    match parts {
        Ok(parts) => page(&TracePage {
            frame: frame.live_at(format!(
                "/live/traces/{}{}",
                id.to_ascii_lowercase(),
                query.address()
            )),
            parts,
        }),
        Err(problem) => error_page(frame, &problem),
    }
}

/// For a terminal.
pub(super) async fn show_text(id: Path<String>, store: Data<TelemetryStore>) -> Result<String, Problem> {
    let trace = find(&store, &id)?;
    Ok(text::draw(&trace, &store.logs_of(&trace.trace_id)))
}

/// The parts that change while spans arrive.
pub(super) async fn follow(
    id: Path<String>,
    query: Query<TraceQuery>,
    store: Data<TelemetryStore>,
    streams: Data<Streams>,
) -> HttpResponse {
    streams.follow(store, move |store: &TelemetryStore| {
        let trace = find(store, &id)?;
        let parts = parts(store, &trace, &query)?;
        Ok(vec![parts.head, parts.time, parts.waterfall])
    })
}

fn parts(store: &TelemetryStore, trace: &Trace, query: &TraceQuery) -> Result<TraceParts, Problem> {
    let logs = store.logs_of(&trace.trace_id);
    let palette = Palette::of(store.services());
    let tree = trace.tree();
    let path = CriticalPath::of(&tree);
    let links_from = store.links_from(&trace.trace_id);
    let mut rows = Rows::of(trace, &tree, &path, &logs, &links_from, &palette);
    rows.open = query.span.as_deref().and_then(|id| id.parse().ok());
    let name = tree.root().map_or("", |span| &span.name);
    let keys = store.summary(&trace.trace_id).map(|summary| summary.keys);
    let keys = KeyLink::all(&keys.unwrap_or_default());
    Ok(TraceParts {
        head: render(&head(trace, &rows, name, keys))?,
        name: name.to_owned(),
        time: render(&time(&path, &palette))?,
        waterfall: render(&waterfall(trace, &rows, &logs, query))?,
    })
}

fn head<'a>(trace: &Trace, rows: &Rows<'a>, name: &'a str, keys: Vec<KeyLink>) -> Head<'a> {
    let services = rows.tree.services().into_iter();
    Head {
        trace_id: trace.trace_id,
        name: named(name),
        errors: trace.errors(),
        spans: trace.spans.len(),
        duration: ui::duration(trace.duration()),
        start: Moment::precise(utc(trace.start_unix_nano())),
        services: services
            .map(|service| (service, rows.palette.class(service)))
            .collect(),
        keys,
    }
}

fn time<'a>(path: &CriticalPath<'a>, palette: &Palette) -> Time<'a> {
    let mut by_span: Vec<_> = path.by_span().into_values().collect();
    let time = |segments: &Vec<&Segment<'_>>| -> Duration { segments.iter().map(|one| one.duration()).sum() };
    by_span.sort_by_key(|segments| Reverse(time(segments)));
    let longest = by_span.iter().take(LONGEST_WAITS).filter_map(|segments| {
        let span = segments.first()?.span?;
        Some(LongWait {
            id: span.span_id,
            name: &span.name,
            time: ui::duration(time(segments)),
        })
    });
    Time {
        summary: path.to_string(),
        longest: longest.collect(),
        shares: shares(path, palette),
    }
}

fn waterfall<'a>(trace: &Trace, rows: &Rows<'a>, logs: &[LogRecord], query: &TraceQuery) -> Waterfall<'a> {
    let all = rows.tree.rows();
    let opened = rows
        .open
        .and_then(|id| all.iter().position(|row| row.span.span_id == id));
    let asked = query.page.unwrap_or(1).saturating_sub(1);
    let current = opened.map_or(asked, |place| place / ROWS_PER_PAGE);
    let first = current.saturating_mul(ROWS_PER_PAGE);
    let pages = all.len().div_ceil(ROWS_PER_PAGE);
    let shown = all.iter().enumerate().skip(first).take(ROWS_PER_PAGE);
    let tick = |part| ui::duration(trace.duration() * part / TICKS);
    let of_no_span = logs
        .iter()
        .filter(|log| log.span_id.is_none_or(|id| !rows.has(id)));
    Waterfall {
        ticks: (0..TICKS).map(tick).collect(),
        rows: shown
            .map(|(place, row)| rows.row(row, all.get(place + 1)))
            .collect(),
        pages: (0..pages)
            .filter(|_| pages > 1)
            .map(|number| RowsPage {
                number: number + 1,
                first: number * ROWS_PER_PAGE + 1,
                last: ((number + 1) * ROWS_PER_PAGE).min(all.len()),
                is_current: number == current,
            })
            .collect(),
        other_logs: of_no_span
            .map(|log| LogLine::in_trace(log, &rows.scale))
            .collect(),
    }
}

impl TraceQuery {
    /// The query of an address that shows the same.
    fn address(&self) -> String {
        match (&self.span, self.page) {
            (Some(span), _) if span.parse::<SpanId>().is_ok() => format!("?span={span}"),
            (_, Some(page)) => format!("?page={page}"),
            _ => String::new(),
        }
    }
}

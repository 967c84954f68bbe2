//! The map: the services, the stores, queues and hosts that they call, and their calls.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use askama::Template;
use serde::Deserialize;

use super::address::address;
use super::frame::{Frame, SystemUrl, error_page, page, render};
use super::live::Streams;
use super::map_drawing::Drawing;
use super::map_links::{kind_words, traces_between};
use super::palette::Palette;
use super::period::{CHOICES, Period};
use super::problem::Problem;
use crate::map::{Calls, MapNode, ServiceMap};
use crate::search::TraceSearch;
use crate::storage::TelemetryStore;

#[derive(Debug, Default, Clone, Deserialize)]
pub(super) struct MapQuery {
    #[serde(default)]
    last: String,
}

#[derive(Template)]
#[template(path = "map.html")]
struct MapPage<'a> {
    frame: Frame<'a>,
    period: Period,
    part: String,
}

#[derive(Template)]
#[template(path = "map_part.html")]
struct Part {
    drawing: Drawing,
    rows: Vec<Row>,
    is_partial: bool,
    has_any: bool,
}

struct Row {
    from: String,
    to: String,
    to_kind: &'static str,
    traces: String,
    failed: Option<String>,
    count: String,
    rate: String,
    errors: String,
    p50: String,
    p99: String,
}

pub(super) async fn show(
    query: Query<MapQuery>,
    store: Data<TelemetryStore>,
    system: Data<SystemUrl>,
) -> HttpResponse {
    let frame = Frame::of(&system, "Map");
    let rendered = Period::parse(&query.last).and_then(|period| Ok((part(&store, &period)?, period)));
    match rendered {
        Ok((part, period)) => page(&MapPage {
            frame: frame.live_at(address("/live/map", &[("last", &query.last)])),
            period,
            part,
        }),
        Err(problem) => error_page(frame, &problem),
    }
}

pub(super) async fn follow(
    query: Query<MapQuery>,
    store: Data<TelemetryStore>,
    streams: Data<Streams>,
) -> HttpResponse {
    streams.follow(store, move |store: &TelemetryStore| {
        Ok(vec![part(store, &Period::parse(&query.last)?)?])
    })
}

fn part(store: &TelemetryStore, period: &Period) -> Result<String, Problem> {
    let map = store.service_map(&TraceSearch {
        started: period.range(),
        ..TraceSearch::default()
    });
    let services = store.services();
    let has_any = !services.is_empty();
    render(&Part {
        drawing: Drawing::of(&map, &Palette::of(services)),
        rows: rows(&map),
        is_partial: map.partial,
        has_any,
    })
}

/// The calls with errors first, then the most frequent.
fn rows(map: &ServiceMap) -> Vec<Row> {
    let mut edges: Vec<_> = map.edges.iter().collect();
    edges.sort_by_key(|edge| std::cmp::Reverse((edge.calls.errors, edge.calls.count)));
    let node = |place: usize| map.nodes.get(place);
    edges
        .into_iter()
        .filter_map(|edge| Some(Row::of(node(edge.from)?, node(edge.to)?, &edge.calls)))
        .collect()
}

impl Row {
    fn of(from: &MapNode, to: &MapNode, calls: &Calls) -> Self {
        let time = |time: Option<std::time::Duration>| time.map_or("–".to_owned(), ui::duration);
        Self {
            from: from.name.clone(),
            to: to.name.clone(),
            to_kind: kind_words(to.kind),
            traces: traces_between(from, to, false),
            failed: (calls.errors > 0).then(|| traces_between(from, to, true)),
            count: ui::grouped(calls.count),
            rate: ui::rate(calls.per_second),
            errors: ui::grouped(calls.errors),
            p50: time(calls.p50),
            p99: time(calls.p99),
        }
    }
}

//! The list of traces, with its search and the charts of what it found.

use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, ResponseError};
use askama::Template;
use ui::Moment;

use super::filter::{Filter, KeyLink};
use super::frame::{Frame, SystemUrl, error_page, page, render};
use super::live::Streams;
use super::palette::Palette;
use super::period::{CHOICES, Period};
use super::problem::Problem;
use super::rates::rates;
use crate::format::named;
use crate::ids::TraceId;
use crate::query::{self, InvalidQuery};
use crate::search::{Page, TraceSearch};
use crate::storage::TelemetryStore;
use crate::summary::TraceSummary;

#[derive(Template)]
#[template(path = "traces.html")]
struct TraceList<'a> {
    frame: Frame<'a>,
    filter: Filter,
    period: Period,
    services: Vec<String>,
    /// Why the search is not valid.
    invalid: Option<String>,
    /// How much arrives; on the page of the newest.
    receiving: Option<String>,
    parts: Vec<String>,
    older: Option<String>,
}

#[derive(Template)]
#[template(path = "traces/table.html")]
struct Table<'a> {
    rows: Vec<Row>,
    is_partial: bool,
    filter: &'a Filter,
    has_any: bool,
}

#[derive(Template)]
#[template(path = "traces/receiving.html")]
struct Receiving {
    /// Spans in a second.
    rate: String,
}

struct Row {
    id: TraceId,
    name: String,
    services: Vec<(String, &'static str)>,
    start: Moment,
    duration: String,
    spans: usize,
    errors: usize,
    keys: Vec<KeyLink>,
}

pub(super) async fn show(
    filter: Query<Filter>,
    store: Data<TelemetryStore>,
    system: Data<SystemUrl>,
) -> HttpResponse {
    let filter = filter.into_inner();
    let q = filter.q.trim();
    // An order id without its dashes parses as a trace id, so only the id of a stored trace is a trace id.
    if let Some(id) = q.parse::<TraceId>().ok().filter(|id| store.trace(id).is_some()) {
        return HttpResponse::SeeOther()
            .insert_header((LOCATION, format!("/traces/{id}")))
            .finish();
    }
    let frame = Frame::of(&system, "Traces").searching(&filter.q);
    match listed(frame, &store, filter) {
        Ok(list) => page(&list),
        Err(problem) => error_page(Frame::of(&system, "Traces"), &problem),
    }
}

/// The list as it grows.
pub(super) async fn follow(
    filter: Query<Filter>,
    store: Data<TelemetryStore>,
    streams: Data<Streams>,
) -> HttpResponse {
    let filter = filter.into_inner();
    match filter.words().parse() {
        Ok(query) => streams.follow(store, move |store| Ok(parts(store, &filter, &query)?.0)),
        Err(invalid) => Problem::BadRequest(InvalidQuery::to_string(&invalid)).error_response(),
    }
}

fn listed<'a>(frame: Frame<'a>, store: &TelemetryStore, filter: Filter) -> Result<TraceList<'a>, Problem> {
    let period = filter.period()?;
    filter.after()?;
    let query = filter.words().parse();
    let (parts, older) = match &query {
        Ok(query) => parts(store, &filter, query)?,
        Err(_) => (Vec::new(), None),
    };
    let mut parts = parts.into_iter();
    let receiving = filter.is_first_page().then(|| parts.next()).flatten();
    let invalid: Option<InvalidQuery> = query.err();
    Ok(TraceList {
        frame: filter.framed(frame, invalid.is_none(), "/live/traces"),
        period,
        services: store.services(),
        invalid: invalid.map(|invalid| invalid.to_string()),
        receiving,
        parts: parts.collect(),
        older,
        filter,
    })
}

/// The charts and the table, and the address of what is older.
fn parts(
    store: &TelemetryStore,
    filter: &Filter,
    query: &query::Query,
) -> Result<(Vec<String>, Option<String>), Problem> {
    let search = TraceSearch {
        query: query.clone(),
        started: filter.period()?.range(),
        after: filter.after()?,
        ..TraceSearch::default()
    };
    let found = store.search_traces(&search);
    let older = found.next.map(|next| filter.address_after("/", &next));
    let mut parts = Vec::new();
    if filter.is_first_page() {
        parts.push(render(&Receiving {
            rate: ui::decimal(store.received_per_second()),
        })?);
        parts.push(rates(store, &search, filter)?);
    }
    parts.push(table(store, filter, &found)?);
    Ok((parts, older))
}

fn table(store: &TelemetryStore, filter: &Filter, found: &Page<TraceSummary>) -> Result<String, Problem> {
    let services = store.services();
    let has_any = !services.is_empty();
    let palette = Palette::of(services);
    render(&Table {
        is_partial: found.partial,
        rows: found.items.iter().map(|one| Row::of(one, &palette)).collect(),
        filter,
        has_any,
    })
}

impl Row {
    fn of(trace: &TraceSummary, palette: &Palette) -> Self {
        let services = trace.services.iter();
        Self {
            id: trace.trace_id,
            name: named(&trace.root_name).to_owned(),
            services: services
                .map(|service| (service.to_string(), palette.class(service)))
                .collect(),
            start: Moment::recent(trace.start),
            duration: ui::duration(trace.duration),
            spans: trace.spans,
            errors: trace.errors,
            keys: KeyLink::all(&trace.keys),
        }
    }
}

//! Log records, newest first, with their search.

use actix_web::web::{Data, Query};
use actix_web::{HttpResponse, ResponseError};
use askama::Template;
use ui::Moment;

use super::filter::Filter;
use super::frame::{Frame, SystemUrl, error_page, page, render};
use super::live::Streams;
use super::log_line::{Level, anchor};
use super::palette::Palette;
use super::period::{CHOICES, Period};
use super::problem::Problem;
use crate::attributes::Attributes;
use crate::format::utc;
use crate::ids::{SpanId, TraceId};
use crate::log::LogRecord;
use crate::query;
use crate::search::LogSearch;
use crate::storage::TelemetryStore;

/// The choices of the lowest level.
const LEVELS: [(&str, &str); 4] = [
    ("debug", "debug and above"),
    ("info", "info and above"),
    ("warn", "warnings and errors"),
    ("error", "errors"),
];

#[derive(Template)]
#[template(path = "logs.html")]
struct LogList<'a> {
    frame: Frame<'a>,
    filter: Filter,
    period: Period,
    services: Vec<String>,
    invalid: Option<String>,
    table: String,
    older: Option<String>,
}

#[derive(Template)]
#[template(path = "logs/table.html")]
struct Table<'a> {
    rows: Vec<Row<'a>>,
    is_partial: bool,
    is_filtered: bool,
}

struct Row<'a> {
    anchor: String,
    time: Moment,
    level: Level,
    service: &'a str,
    colour: &'static str,
    body: String,
    event: &'a str,
    attributes: &'a Attributes,
    trace: Option<(TraceId, Option<SpanId>)>,
}

pub(super) async fn show(
    filter: Query<Filter>,
    store: Data<TelemetryStore>,
    system: Data<SystemUrl>,
) -> HttpResponse {
    let frame = Frame::of(&system, "Logs").searching(&filter.q);
    match listed(frame, &store, filter.into_inner()) {
        Ok(list) => page(&list),
        Err(problem) => error_page(Frame::of(&system, "Logs"), &problem),
    }
}

/// The list as it grows.
pub(super) async fn follow(
    filter: Query<Filter>,
    store: Data<TelemetryStore>,
    streams: Data<Streams>,
) -> HttpResponse {
    let filter = filter.into_inner();
    match query::Query::of_logs(&filter.words()) {
        Ok(query) => streams.follow(store, move |store| Ok(vec![table(store, &filter, &query)?.0])),
        Err(invalid) => Problem::BadRequest(invalid.to_string()).error_response(),
    }
}

fn listed<'a>(frame: Frame<'a>, store: &TelemetryStore, filter: Filter) -> Result<LogList<'a>, Problem> {
    let period = filter.period()?;
    filter.after()?;
    let query = query::Query::of_logs(&filter.words());
    let (table, older) = match &query {
        Ok(query) => table(store, &filter, query)?,
        Err(_) => (String::new(), None),
    };
    let invalid = query.err();
    Ok(LogList {
        frame: filter.framed(frame, invalid.is_none(), "/live/logs"),
        period,
        services: store.services(),
        invalid: invalid.map(|invalid| invalid.to_string()),
        table,
        older,
        filter,
    })
}

/// The table, and the address of what is older.
fn table(
    store: &TelemetryStore,
    filter: &Filter,
    query: &query::Query,
) -> Result<(String, Option<String>), Problem> {
    let search = LogSearch {
        query: query.clone(),
        recorded: filter.period()?.range(),
        after: filter.after()?,
        ..LogSearch::default()
    };
    let found = store.search_logs(&search);
    let palette = Palette::of(store.services());
    let table = render(&Table {
        rows: found.items.iter().map(|log| Row::of(log, &palette)).collect(),
        is_partial: found.partial,
        is_filtered: !filter.is_empty(),
    })?;
    Ok((table, found.next.map(|next| filter.address_after("/logs", &next))))
}

impl<'a> Row<'a> {
    fn of(log: &'a LogRecord, palette: &Palette) -> Self {
        Self {
            anchor: anchor(log),
            time: Moment::precise(utc(log.time_unix_nano)),
            level: Level::of(log.severity),
            service: &log.service,
            colour: palette.class(&log.service),
            body: log.body.to_string(),
            event: &log.event_name,
            attributes: &log.attributes,
            trace: log.trace_id.map(|trace| (trace, log.span_id)),
        }
    }
}

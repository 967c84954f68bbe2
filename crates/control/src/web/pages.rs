//! `/`: the page, and the same as JSON.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use askama::Template;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shared::Shared;
use super::view::{FaultsView, LoadView, NumbersView, OutputView, ProcessesView, Rates, Row, WalkView};
use crate::part::Part;

/// Whose output the page shows.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Of {
    of: Option<String>,
}

impl Of {
    pub(super) fn part(&self, shared: &Shared) -> Option<Part> {
        shared.parts.system.part(self.of.as_deref()?)
    }
}

#[derive(Template)]
#[template(path = "system.html")]
struct Page<'a> {
    csrf: &'a str,
    lens: &'a str,
    console: &'a str,
    /// The path of the live parts.
    live: String,
    rate: u32,
    max_rate: u32,
    walk: String,
    numbers: String,
    processes: String,
    faults: String,
    load: String,
    rates: String,
    output: String,
}

pub(super) async fn show(query: Query<Of>, shared: Data<Shared>) -> HttpResponse {
    let of = query.part(&shared);
    let mut elements = elements(&shared).into_iter();
    let mut element = || elements.next().unwrap_or_default();
    let page = Page {
        csrf: &shared.keys.csrf,
        lens: &shared.parts.system.lens,
        console: &shared.parts.system.api,
        live: of.map_or_else(|| "/live".to_owned(), |part| format!("/live?of={}", part.slug())),
        rate: shared.parts.load.rate(),
        max_rate: crate::load::MAX_RATE,
        walk: element(),
        numbers: element(),
        processes: element(),
        faults: element(),
        load: element(),
        rates: element(),
        output: output(&shared, of),
    };
    match page.render() {
        Ok(html) => HttpResponse::Ok()
            .content_type("text/html; charset=utf-8")
            .body(html),
        Err(error) => HttpResponse::InternalServerError().body(error.to_string()),
    }
}

/// The live elements, in the order of the page.
pub(super) fn elements(shared: &Shared) -> Vec<String> {
    let rendered = [
        WalkView::of(shared).render(),
        NumbersView::of(shared).render(),
        ProcessesView::of(shared).render(),
        FaultsView::of(shared).render(),
        LoadView::of(&shared.parts.load).render(),
        Rates::of(shared).render(),
    ];
    // Writing to a String does not fail.
    rendered.into_iter().map(Result::unwrap_or_default).collect()
}

/// The last lines of a part, or of all.
pub(super) fn output(shared: &Shared, of: Option<Part>) -> String {
    OutputView::of(shared, of).render().unwrap_or_default()
}

/// `/api/system`
pub(super) async fn json(shared: Data<Shared>) -> HttpResponse {
    let parts = &shared.parts;
    let processes: Vec<Value> = ProcessesView::of(&shared).rows.iter().map(Row::json).collect();
    let active = parts.faults.active();
    let faults: Vec<&str> = active.iter().map(|(fault, _)| fault.slug()).collect();
    let known = parts.audit.known();
    HttpResponse::Ok().json(json!({
        "processes": processes,
        "orders": known.numbers,
        "orders_trouble": known.trouble,
        "faults": faults,
        "load": { "rate": parts.load.rate() },
    }))
}

//! The frame around every page, and how pages and their errors are sent.

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use askama::Template;

use super::problem::Problem;

/// The pages of the navigation, each with the key that leads to it after `g`.
pub(crate) const PAGES: [(&str, &str, char); 4] = [
    ("Traces", "/", 't'),
    ("Logs", "/logs", 'l'),
    ("Metrics", "/metrics", 'm'),
    ("Map", "/map", 'p'),
];

pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

const HTML: &str = "text/html; charset=utf-8";

/// The control room of the local stack; `None` outside of such a stack.
#[derive(Debug)]
pub(crate) struct SystemUrl(pub(crate) Option<String>);

/// The frame of a page.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// The name of the page in the navigation.
    pub(super) current: &'static str,
    pub(super) system_url: Option<&'a str>,
    pub(super) search: Search,
    /// The path of the page's live parts; empty if it has none.
    pub(super) live: String,
}

/// The search field: of traces, but on the page of logs, of logs.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) path: &'static str,
    pub(super) label: &'static str,
    pub(super) placeholder: &'static str,
    pub(super) query: String,
}

impl<'a> Frame<'a> {
    pub(super) fn of(system: &'a SystemUrl, current: &'static str) -> Self {
        let search = if current == "Logs" {
            Search {
                path: "/logs",
                label: "Search logs",
                placeholder: "text, key=value, level>=warn",
                query: String::new(),
            }
        } else {
            Search {
                path: "/",
                label: "Search traces",
                placeholder: "key=value, text, order or trace id",
                query: String::new(),
            }
        };
        Self {
            current,
            system_url: system.0.as_deref(),
            search,
            live: String::new(),
        }
    }

    /// The text of the search field.
    pub(super) fn searching(mut self, query: &str) -> Self {
        query.clone_into(&mut self.search.query);
        self
    }

    /// The path of the live parts.
    pub(super) fn live_at(mut self, path: String) -> Self {
        self.live = path;
        self
    }
}

pub(super) fn page(template: &impl Template) -> HttpResponse {
    respond(StatusCode::OK, template)
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage<'a> {
    frame: Frame<'a>,
    title: &'static str,
    detail: String,
    advice: &'static str,
}

/// An error as a page.
pub(super) fn error_page(frame: Frame<'_>, problem: &Problem) -> HttpResponse {
    let (title, advice) = match problem {
        Problem::BadRequest(_) => (
            "This address is not valid",
            "Correct the address, or search above.",
        ),
        Problem::NotFound(_) => (
            "Not found",
            "lens holds the most recent telemetry in memory: older traces make room for new ones.",
        ),
        Problem::TooManyStreams | Problem::Internal => ("lens failed", "The log of lens has the cause."),
    };
    let template = ErrorPage {
        frame,
        title,
        detail: problem.to_string(),
        advice,
    };
    respond(problem.status_code(), &template)
}

/// A part of a page.
pub(super) fn render(template: &impl Template) -> Result<String, Problem> {
    template.render().map_err(|error| {
        tracing::error!("cannot render a page: {error}");
        Problem::Internal
    })
}

fn respond(status: StatusCode, template: &impl Template) -> HttpResponse {
    match render(template) {
        Ok(html) => HttpResponse::build(status).content_type(HTML).body(html),
        Err(problem) => problem.error_response(),
    }
}

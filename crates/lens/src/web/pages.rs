//! The pages: the list of traces with its search, and one trace as a waterfall.

use std::fmt::{self, Display};

use actix_web::http::header::{ContentType, LOCATION};
use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::api::{find, non_empty};
use super::html::{Escaped, Page, Palette};
use super::problem::Problem;
use super::waterfall::Waterfall;
use crate::format::{count, readable};
use crate::ids::TraceId;
use crate::storage::{TelemetryStore, TraceFilter};
use crate::summary::TraceSummary;
use crate::waterfall::text;

const MAX_LISTED: usize = 50;

#[derive(Deserialize)]
pub(super) struct ListQuery {
    /// A trace id or an order id.
    q: Option<String>,
    service: Option<String>,
}

pub(super) async fn list(query: web::Query<ListQuery>, store: web::Data<TelemetryStore>) -> HttpResponse {
    let ListQuery { q, service } = query.into_inner();
    let filter = TraceFilter {
        service: non_empty(service),
        order_id: non_empty(q.map(|text| text.trim().to_owned())),
    };
    // An order id without its dashes parses as a trace id, so only the id of a stored trace is a trace id.
    if let Some(id) = filter
        .order_id
        .as_deref()
        .and_then(|text| text.parse::<TraceId>().ok())
        && store.trace(&id).is_some()
    {
        return HttpResponse::SeeOther()
            .insert_header((LOCATION, format!("/traces/{id}")))
            .finish();
    }
    let traces = store.summaries(&filter, MAX_LISTED);
    html(&Page {
        title: "Traces",
        body: TraceList {
            traces,
            filter,
            palette: Palette::of(store.services()),
        },
    })
}

pub(super) async fn trace(id: web::Path<String>, store: web::Data<TelemetryStore>) -> HttpResponse {
    let trace = match find(&store, &id) {
        Ok(trace) => trace,
        Err(problem) => return problem_page(&problem),
    };
    let logs = store.logs_of(&trace.trace_id);
    let palette = Palette::of(store.services());
    let title = trace.trace_id.to_string();
    html(&Page {
        title: &title,
        body: Waterfall::of(&trace, &logs, &palette),
    })
}

pub(super) async fn trace_text(
    id: web::Path<String>,
    store: web::Data<TelemetryStore>,
) -> Result<String, Problem> {
    let trace = find(&store, &id)?;
    Ok(text::draw(&trace, &store.logs_of(&trace.trace_id)))
}

pub(super) async fn stylesheet() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/css; charset=utf-8")
        .body(include_str!("lens.css"))
}

pub(super) async fn icon() -> HttpResponse {
    HttpResponse::Ok()
        .content_type("image/svg+xml")
        .body(include_str!("lens.svg"))
}

fn html<B: Display>(page: &Page<'_, B>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::html())
        .body(page.to_string())
}

fn problem_page(problem: &Problem) -> HttpResponse {
    use actix_web::ResponseError;
    let body = format!("<p class=\"empty\">{}</p>", Escaped(&problem.to_string()));
    let page = Page {
        title: "No trace",
        body,
    };
    HttpResponse::build(problem.status_code())
        .content_type(ContentType::html())
        .body(page.to_string())
}

struct TraceList {
    traces: Vec<TraceSummary>,
    filter: TraceFilter,
    palette: Palette,
}

impl TraceList {
    fn search(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let q = self.filter.order_id.as_deref().unwrap_or_default();
        write!(
            f,
            "<form class=\"search\" method=\"get\" action=\"/\"><input type=\"search\" name=\"q\" value=\"{}\" \
             placeholder=\"order id or trace id\" aria-label=\"order id or trace id\" autofocus>\
             <select name=\"service\" aria-label=\"service\"><option value=\"\">every service</option>",
            Escaped(q)
        )?;
        for service in self.palette.services() {
            let selected = if self.filter.service.as_ref() == Some(service) {
                " selected"
            } else {
                ""
            };
            write!(f, "<option{selected}>{}</option>", Escaped(service))?;
        }
        f.write_str("</select><button>Search</button></form>")
    }

    fn row(&self, f: &mut fmt::Formatter<'_>, trace: &TraceSummary) -> fmt::Result {
        write!(
            f,
            "<tr><td class=\"time\">{}</td>",
            trace.start.format("%H:%M:%S%.3f")
        )?;
        let name = if trace.root_name.is_empty() {
            "(no name)"
        } else {
            &trace.root_name
        };
        write!(
            f,
            "<td><a href=\"/traces/{}\">{}</a></td><td>",
            trace.trace_id,
            Escaped(name)
        )?;
        for service in &trace.services {
            write!(
                f,
                "<span class=\"chip {}\">{}</span> ",
                self.palette.class(service),
                Escaped(service)
            )?;
        }
        write!(f, "</td><td class=\"time\">{}</td>", trace.spans)?;
        write!(
            f,
            "<td class=\"time\">{}</td><td class=\"bad\">",
            readable(trace.duration)
        )?;
        if trace.errors > 0 {
            f.write_str(&count(trace.errors, "error"))?;
        }
        write!(
            f,
            "</td><td class=\"id\">{}</td></tr>",
            Escaped(trace.keys.values().next().map(String::as_str).unwrap_or_default())
        )
    }
}

impl Display for TraceList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.search(f)?;
        if self.traces.is_empty() {
            return f.write_str(
                "<p class=\"empty\">No matching trace yet. Send some over OTLP/gRPC or OTLP/HTTP.</p>",
            );
        }
        f.write_str(
            "<div class=\"scroll\"><table class=\"list\"><thead><tr><th class=\"time\">started (UTC)</th><th>trace</th>\
             <th>services</th><th class=\"time\">spans</th><th class=\"time\">duration</th><th></th><th>order</th>\
             </tr></thead><tbody>",
        )?;
        self.traces.iter().try_for_each(|trace| self.row(f, trace))?;
        f.write_str("</tbody></table></div>")
    }
}

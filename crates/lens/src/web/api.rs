//! The JSON API.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::params::SearchParams;
use super::problem::Problem;
use crate::format::utc;
use crate::ids::TraceId;
use crate::log::LogRecord;
use crate::metric::Metric;
use crate::otlp;
use crate::storage::TelemetryStore;
use crate::summary::TraceSummary;
use crate::trace::{ORDER_ID, Trace};

/// A trace as listed.
#[derive(Serialize)]
struct Listed {
    #[serde(flatten)]
    summary: TraceSummary,
    /// Also in `keys`.
    order_id: Option<String>,
}

/// The envelope of a list without pages.
#[derive(Serialize)]
struct Data<T> {
    data: Vec<T>,
}

pub(super) async fn traces(
    params: web::Query<SearchParams>,
    store: web::Data<TelemetryStore>,
) -> Result<HttpResponse, Problem> {
    let page = store.search_traces(&params.traces()?);
    Ok(HttpResponse::Ok().json(page.map(|summary| Listed {
        order_id: summary.keys.get(ORDER_ID).cloned(),
        summary,
    })))
}

pub(super) async fn trace(
    id: web::Path<String>,
    store: web::Data<TelemetryStore>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(otlp::traces_data(&find(&store, &id)?)))
}

pub(super) async fn logs(
    params: web::Query<SearchParams>,
    store: web::Data<TelemetryStore>,
) -> Result<HttpResponse, Problem> {
    let page = store.search_logs(&params.logs()?);
    Ok(HttpResponse::Ok().json(page.map(|log| log_json(&log))))
}

pub(super) async fn metrics(store: web::Data<TelemetryStore>) -> HttpResponse {
    let metrics = store.metrics();
    HttpResponse::Ok().json(Data {
        data: metrics.iter().map(metric_json).collect(),
    })
}

/// The trace of the id in a path.
pub(super) fn find(store: &TelemetryStore, id: &str) -> Result<Trace, Problem> {
    let id = parse_id(id)?;
    let missing = || {
        Problem::NotFound(format!(
            "no span of trace {id} is stored: none was received, or the trace was evicted"
        ))
    };
    store.trace(&id).ok_or_else(missing)
}

fn parse_id(text: &str) -> Result<TraceId, Problem> {
    text.parse()
        .map_err(|invalid| Problem::BadRequest(format!("`{text}` is not a trace id: {invalid}")))
}

/// An empty parameter, as a form sends it, counts as absent.
pub(super) fn non_empty(parameter: Option<String>) -> Option<String> {
    parameter.filter(|text| !text.is_empty())
}

fn log_json(log: &LogRecord) -> Json {
    json!({
        "time": utc(log.time_unix_nano),
        "severity": log.severity,
        "service": log.service,
        "body": log.body,
        "event_name": log.event_name,
        "attributes": log.attributes,
        "scope": log.scope.name,
        "trace_id": log.trace_id,
        "span_id": log.span_id,
    })
}

fn metric_json(metric: &Metric) -> Json {
    json!({
        "service": metric.service,
        "instance": metric.instance(),
        "scope": metric.scope.name,
        "name": metric.name,
        "description": metric.description,
        "unit": metric.unit,
        "kind": metric.kind,
        "temporality": metric.temporality,
        "monotonic": metric.monotonic,
        "points": metric.points,
    })
}

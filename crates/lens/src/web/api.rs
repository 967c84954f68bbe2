//! The JSON API.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};

use super::problem::Problem;
use crate::format::utc;
use crate::ids::TraceId;
use crate::log::LogRecord;
use crate::metric::Metric;
use crate::otlp;
use crate::storage::{TelemetryStore, TraceFilter};
use crate::trace::Trace;

const DEFAULT_LIMIT: usize = 20;
const MAX_LIMIT: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TracesQuery {
    service: Option<String>,
    order_id: Option<String>,
    limit: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LogsQuery {
    trace_id: Option<String>,
}

/// The envelope of every list.
#[derive(Serialize)]
struct Data<T> {
    data: Vec<T>,
}

pub(super) async fn traces(
    query: web::Query<TracesQuery>,
    store: web::Data<TelemetryStore>,
) -> Result<HttpResponse, Problem> {
    let TracesQuery {
        service,
        order_id,
        limit,
    } = query.into_inner();
    let limit = limit.as_deref().map_or(Ok(DEFAULT_LIMIT), parse_limit)?;
    let filter = TraceFilter {
        service: non_empty(service),
        order_id: non_empty(order_id),
    };
    Ok(HttpResponse::Ok().json(Data {
        data: store.summaries(&filter, limit),
    }))
}

pub(super) async fn trace(
    id: web::Path<String>,
    store: web::Data<TelemetryStore>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(otlp::traces_data(&find(&store, &id)?)))
}

pub(super) async fn logs(
    query: web::Query<LogsQuery>,
    store: web::Data<TelemetryStore>,
) -> Result<HttpResponse, Problem> {
    let logs = match non_empty(query.into_inner().trace_id) {
        Some(id) => store.logs_of(&parse_id(&id)?),
        None => store.logs(),
    };
    Ok(HttpResponse::Ok().json(Data {
        data: logs.iter().map(log_json).collect(),
    }))
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

fn parse_limit(text: &str) -> Result<usize, Problem> {
    let limit = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| Problem::BadRequest(format!("limit is `{text}`; it takes 1 to {MAX_LIMIT}")))
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

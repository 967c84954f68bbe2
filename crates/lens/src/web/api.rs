//! The JSON API.

use std::convert::Infallible;
use std::time::Duration;

use actix_web::http::header::CONTENT_DISPOSITION;
use actix_web::web::Bytes;
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
use crate::saved;
use crate::storage::TelemetryStore;
use crate::summary::TraceSummary;
use crate::trace::{ORDER_ID, Trace};
use crate::waterfall::CriticalPath;

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

pub(super) fn routes(service: &mut web::ServiceConfig) {
    service
        .service(web::resource("/api/traces").get(traces))
        .service(web::resource("/api/traces/{trace_id}").get(trace))
        .service(web::resource("/api/traces/{trace_id}/critical-path").get(critical_path))
        .service(web::resource("/api/rates").get(rates))
        .service(web::resource("/api/map").get(map))
        .service(web::resource("/api/logs").get(logs))
        .service(web::resource("/api/metrics").get(metrics))
        .service(web::resource("/api/metrics/names").get(metric_names))
        .service(web::resource("/api/series/{name:.+}").get(series))
        .service(web::resource("/api/export").get(export));
}

async fn traces(
    params: web::Query<SearchParams>,
    store: web::Data<TelemetryStore>,
) -> Result<HttpResponse, Problem> {
    let page = store.search_traces(&params.traces()?);
    Ok(HttpResponse::Ok().json(page.map(|summary| Listed {
        order_id: summary.keys.get(ORDER_ID).cloned(),
        summary,
    })))
}

async fn trace(id: web::Path<String>, store: web::Data<TelemetryStore>) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(otlp::traces_data(&find(&store, &id)?.spans)))
}

async fn logs(
    params: web::Query<SearchParams>,
    store: web::Data<TelemetryStore>,
) -> Result<HttpResponse, Problem> {
    let page = store.search_logs(&params.logs()?);
    Ok(HttpResponse::Ok().json(page.map(|log| log_json(&log))))
}

async fn metrics(store: web::Data<TelemetryStore>) -> HttpResponse {
    let metrics = store.metrics();
    HttpResponse::Ok().json(Data {
        data: metrics.iter().map(metric_json).collect(),
    })
}

/// The traces that match, by root name.
async fn rates(
    params: web::Query<SearchParams>,
    store: web::Data<TelemetryStore>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(store.rates(&params.traces()?, params.steps()?)))
}

async fn map(
    params: web::Query<SearchParams>,
    store: web::Data<TelemetryStore>,
) -> Result<HttpResponse, Problem> {
    Ok(HttpResponse::Ok().json(store.service_map(&params.traces()?)))
}

async fn metric_names(store: web::Data<TelemetryStore>) -> HttpResponse {
    HttpResponse::Ok().json(Data {
        data: store.metric_names(),
    })
}

async fn series(
    name: web::Path<String>,
    params: web::Query<SearchParams>,
    store: web::Data<TelemetryStore>,
) -> Result<HttpResponse, Problem> {
    let query = params.metric(name.into_inner())?;
    let missing = || Problem::NotFound(format!("no metric `{}` is stored", query.name));
    Ok(HttpResponse::Ok().json(store.series(&query).ok_or_else(missing)?))
}

/// Where the time of a trace went.
async fn critical_path(
    id: web::Path<String>,
    store: web::Data<TelemetryStore>,
) -> Result<HttpResponse, Problem> {
    let trace = find(&store, &id)?;
    let tree = trace.tree();
    let path = CriticalPath::of(&tree);
    let milliseconds = |duration: Duration| (duration.as_secs_f64() * 1e6).round() / 1e3;
    let waits = path.sums().into_iter().map(
        |(wait, duration)| json!({ "waited_for": wait.to_string(), "duration_ms": milliseconds(duration) }),
    );
    let segments = path.segments().iter().map(|segment| {
        json!({
            "span_id": segment.span.map(|span| span.span_id),
            "name": segment.span.map(|span| &span.name),
            "waited_for": segment.wait.to_string(),
            "start": utc(segment.start_unix_nano),
            "duration_ms": milliseconds(segment.duration()),
        })
    });
    Ok(HttpResponse::Ok().json(json!({
        "summary": path.to_string(),
        "duration_ms": milliseconds(path.total()),
        "waits": waits.collect::<Vec<_>>(),
        "segments": segments.collect::<Vec<_>>(),
    })))
}

/// Everything stored, as OTLP JSON lines.
async fn export(store: web::Data<TelemetryStore>) -> HttpResponse {
    let lines = saved::lines(&store).map(|line| Ok::<_, Infallible>(Bytes::from(line)));
    HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header((CONTENT_DISPOSITION, "attachment; filename=\"telemetry.jsonl\""))
        .streaming(tokio_stream::iter(lines))
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

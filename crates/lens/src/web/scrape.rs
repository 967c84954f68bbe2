//! `/metrics` for Prometheus: the same path as the page of metrics, by the request's `Accept`.

use std::time::Duration;

use actix_web::guard::GuardContext;
use actix_web::http::header::{ACCEPT, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use serde::Deserialize;

use super::params::now;
use crate::exposition;
use crate::storage::TelemetryStore;

/// `metric_expiration` of the collector in deploy/collector: longer than two exports of a service.
const DEFAULT_MAX_AGE_SECS: f64 = 150.0;

#[derive(Deserialize)]
pub(super) struct Params {
    /// In seconds: a process that sent nothing for longer has ended, and its metrics are left out.
    max_age: Option<f64>,
}

/// Whether the client names a format of Prometheus. A browser does not, nor does a client that takes
/// anything.
pub(super) fn is_wanted(context: &GuardContext<'_>) -> bool {
    let accept = context.head().headers().get(ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let names = |format| accept.contains(format);
    names("application/openmetrics-text") || names("text/plain") && !names("text/html")
}

pub(super) async fn show(params: web::Query<Params>, store: web::Data<TelemetryStore>) -> HttpResponse {
    let max_age = params.max_age.unwrap_or(DEFAULT_MAX_AGE_SECS);
    let max_age = Duration::try_from_secs_f64(max_age).unwrap_or_default();
    let nanos = u64::try_from(max_age.as_nanos()).unwrap_or(u64::MAX);
    let text = exposition::prometheus_text(&store.metrics(), now().saturating_sub(nanos));
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, exposition::CONTENT_TYPE))
        .body(text)
}

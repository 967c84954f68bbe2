//! The live parts of pages, by server-sent events. One loop per process renders each part that has subscribers
//! once for all of them, and sends it only when it changed: an open console costs nothing while nothing
//! happens.

mod hub;
mod part;
mod refresh;
mod stream;

pub(crate) use hub::Live;
pub(crate) use refresh::refresh;

use actix_web::http::{Method, header};
use actix_web::web::{Data, Query, ServiceConfig};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};

use super::access::{Look, Operator};
use super::overview::RangeQuery;
use crate::problem::Problem;
use crate::resource::{get, resource};
use crate::state::AppState;
use part::Part;

pub(super) fn configure(app: &mut ServiceConfig) {
    app.service(resource("/frame", "GET, HEAD").route(get(frame)))
        .service(resource("/overview", "GET, HEAD").route(get(overview)));
}

async fn frame(request: HttpRequest, operator: Operator<Look>) -> Result<HttpResponse, Problem> {
    follow(&request, &operator, Part::Frame)
}

async fn overview(
    request: HttpRequest,
    operator: Operator<Look>,
    query: Query<RangeQuery>,
) -> Result<HttpResponse, Problem> {
    let part = Part::Overview(query.range(), operator.may_act());
    follow(&request, &operator, part)
}

/// A stream of the part, until the session ends.
fn follow(request: &HttpRequest, operator: &Operator<Look>, part: Part) -> Result<HttpResponse, Problem> {
    let (Some(state), Some(live)) = (
        request.app_data::<Data<AppState>>(),
        request.app_data::<Data<Live>>(),
    ) else {
        return Err(Problem::unavailable("Live pages are off."));
    };
    let reserved = state.streams.reserve(operator.limited(), 1);
    let reservation = reserved.map_err(|exceeded| exceeded.problem("event streams"))?;
    let Some(subscription) = live.subscribe(part, operator.session()) else {
        return Err(Problem::unavailable("The service is shutting down. Try again."));
    };
    let mut response = HttpResponse::Ok();
    response
        .content_type("text/event-stream")
        .insert_header((header::CACHE_CONTROL, "no-store"))
        // Otherwise nginx holds events back until its buffer is full.
        .insert_header(("X-Accel-Buffering", "no"));
    Ok(if request.method() == Method::HEAD {
        response.finish()
    } else {
        request.extensions_mut().insert(reservation);
        response.streaming(stream::stream(subscription))
    })
}

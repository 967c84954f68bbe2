//! The live parts of pages, by server-sent events. One loop per process renders each part that has
//! subscribers once for all of them, and sends it only when it changed: an open console costs nothing while
//! nothing happens.

mod hub;
mod part;
mod refresh;
mod stream;

pub(crate) use hub::Live;
pub(crate) use refresh::refresh;

use std::future::{Ready, ready};

use actix_web::web::{Data, Path, Query, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse};
use domain::OrderId;
use uuid::Uuid;

use super::access::{Look, Operator};
use super::series::RangeQuery;
use crate::events::respond;
use crate::problem::Problem;
use crate::resource::{get, resource};
use crate::state::AppState;
use part::Part;

type Follow = Ready<Result<HttpResponse, Problem>>;

pub(super) fn configure(app: &mut ServiceConfig) {
    let of = |path, part: fn(bool) -> Part| {
        let follow = move |request: HttpRequest, operator: Operator<Look>| -> Follow {
            ready(follow(&request, &operator, part(operator.may_act())))
        };
        resource(path, "GET, HEAD").route(get(follow))
    };
    app.service(of("/frame", |_| Part::Frame))
        .service(of("/failures", Part::Failures))
        .service(of("/queue", Part::Queue))
        .service(of("/operations", |_| Part::Operations))
        .service(resource("/overview", "GET, HEAD").route(get(overview)))
        .service(resource("/orders/{id}", "GET, HEAD").route(get(order)))
        .service(resource("/operations/{id}", "GET, HEAD").route(get(operation)));
}

async fn overview(
    request: HttpRequest,
    operator: Operator<Look>,
    query: Query<RangeQuery>,
) -> Result<HttpResponse, Problem> {
    let part = Part::Overview(query.range(), operator.may_act());
    follow(&request, &operator, part)
}

async fn order(
    request: HttpRequest,
    operator: Operator<Look>,
    id: Path<OrderId>,
) -> Result<HttpResponse, Problem> {
    follow(&request, &operator, Part::Order(*id, operator.may_act()))
}

async fn operation(
    request: HttpRequest,
    operator: Operator<Look>,
    id: Path<Uuid>,
) -> Result<HttpResponse, Problem> {
    follow(&request, &operator, Part::Operation(*id))
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
    Ok(respond(request, reservation, stream::stream(subscription)))
}

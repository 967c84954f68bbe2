//! Which handler serves which path and method.

use actix_web::Resource;
use actix_web::dev::HttpServiceFactory;
use actix_web::http::StatusCode;
use actix_web::middleware::from_fn;
use actix_web::web::{self, PathConfig, QueryConfig, ServiceConfig};

use crate::operations::{bulk, queue, read as operation};
use crate::orders::{analytics, cancel, create, events, history, list, read, retry};
use crate::problem::Problem;
use crate::resource::{get, resource};
use crate::{deadline, health, query};

/// Adds the routes of the API.
pub(crate) fn configure(app: &mut ServiceConfig) {
    app.app_data(PathConfig::default().error_handler(|_, _| Problem::order_not_found().into()))
        .app_data(QueryConfig::default().error_handler(query::problem))
        .service(timed(
            resource("/api/orders", "GET, HEAD, POST")
                .route(get(list::list))
                .post(create::create),
        ))
        .service(timed(
            resource("/api/orders/analytics", "GET, HEAD").route(get(analytics::analytics)),
        ))
        .service(timed(resource("/api/orders/retry", "POST").post(bulk::retry)))
        .service(timed(resource("/api/orders/cancel", "POST").post(bulk::cancel)))
        .service(timed(
            resource("/api/orders/{id}", "DELETE, GET, HEAD")
                .route(get(read::read))
                .delete(cancel::cancel),
        ))
        .service(timed(
            resource("/api/operations", "GET, HEAD").route(get(operation::list)),
        ))
        .service(timed(
            resource("/api/operations/{id}", "GET, HEAD").route(get(operation::read)),
        ))
        .service(timed(resource("/api/queue/pause", "POST").post(queue::pause)))
        .service(timed(resource("/api/queue/resume", "POST").post(queue::resume)))
        .service(timed(
            resource("/api/orders/{id}/events", "GET, HEAD").route(get(events::events)),
        ))
        .service(timed(
            resource("/api/orders/{id}/history", "GET, HEAD").route(get(history::history)),
        ))
        .service(timed(
            resource("/api/orders/{id}/retry", "POST").post(retry::retry),
        ))
        .service(resource("/health", "GET, HEAD").route(get(health::live)))
        .service(resource("/health/ready", "GET, HEAD").route(get(health::ready)))
        .default_service(web::to(not_found));
}

fn timed(resource: Resource) -> impl HttpServiceFactory {
    resource.wrap(from_fn(deadline::enforce))
}

async fn not_found() -> Result<&'static str, Problem> {
    Err(Problem::new(
        StatusCode::NOT_FOUND,
        "There is nothing at this path.",
    ))
}

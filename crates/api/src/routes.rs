//! Which path is whose.

use actix_web::http::StatusCode;
use actix_web::web::{self, JsonConfig, PathConfig, QueryConfig, ServiceConfig};
use actix_web::{HttpRequest, Responder};

use crate::problem::{self, Problem};
use crate::{health, orders};

/// Adds every route; bodies have at most `body_limit` bytes.
pub(crate) fn configure(body_limit: usize) -> impl Fn(&mut ServiceConfig) {
    move |app| {
        app.app_data(
            JsonConfig::default()
                .limit(body_limit)
                .error_handler(problem::bad_json),
        )
        .app_data(PathConfig::default().error_handler(problem::bad_path))
        .app_data(QueryConfig::default().error_handler(problem::bad_query))
        .service(
            web::resource("/api/orders")
                .post(orders::create)
                .get(orders::list)
                .default_service(web::to(method_not_allowed)),
        )
        .service(
            web::resource("/api/orders/analytics")
                .get(orders::analytics)
                .default_service(web::to(method_not_allowed)),
        )
        .service(
            web::resource("/api/orders/{id}")
                .get(orders::read)
                .delete(orders::cancel)
                .default_service(web::to(method_not_allowed)),
        )
        .route("/health", web::get().to(health::live))
        .route("/health/ready", web::get().to(health::ready))
        .default_service(web::to(not_found));
    }
}

async fn not_found() -> impl Responder {
    Err::<&str, _>(Problem::new(
        StatusCode::NOT_FOUND,
        "There is nothing at this path.",
    ))
}

async fn method_not_allowed(request: HttpRequest) -> impl Responder {
    let detail = format!("{} is not supported here.", request.method());
    Err::<&str, _>(Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail))
}

//! Which path is whose, and which methods it has.

use actix_web::http::StatusCode;
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::from_fn;
use actix_web::web::{self, PathConfig, QueryConfig, ServiceConfig};
use actix_web::{FromRequest, Handler, HttpRequest, Resource, Responder, Route, guard};

use crate::problem::Problem;
use crate::{deadline, health, openapi, orders, pages, query};

/// Adds every route.
pub(crate) fn configure(app: &mut ServiceConfig) {
    app.app_data(PathConfig::default().error_handler(|_, _| Problem::order_not_found().into()))
        .app_data(QueryConfig::default().error_handler(query::refused))
        .service(
            resource("/api/orders", "GET, HEAD, POST")
                .route(get(orders::list))
                .post(orders::create)
                .wrap(from_fn(deadline::keep)),
        )
        .service(
            resource("/api/orders/analytics", "GET, HEAD")
                .route(get(orders::analytics))
                .wrap(from_fn(deadline::keep)),
        )
        .service(
            resource("/api/orders/{id}", "DELETE, GET, HEAD")
                .route(get(orders::read))
                .delete(orders::cancel)
                .wrap(from_fn(deadline::keep)),
        )
        .service(
            resource("/api/orders/{id}/events", "GET, HEAD")
                .route(get(orders::events))
                .wrap(from_fn(deadline::keep)),
        )
        .service(
            resource("/api/orders/{id}/retry", "POST")
                .post(orders::retry)
                .wrap(from_fn(deadline::keep)),
        )
        .service(resource("/api/openapi.json", "GET, HEAD").route(get(openapi::serve)))
        .service(resource("/health", "GET, HEAD").route(get(health::live)))
        .service(resource("/health/ready", "GET, HEAD").route(get(health::ready)))
        .configure(pages::configure)
        .default_service(web::to(not_found));
}

/// A path with these methods; any other is answered 405, and told which there are (RFC 9110, section 15.5.6).
pub(crate) fn resource(path: &str, allow: &'static str) -> Resource {
    let method_not_allowed = move |request: HttpRequest| async move {
        let detail = format!("{} is not supported here.", request.method());
        let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, detail);
        Err::<&str, _>(problem.with_header(header::ALLOW, HeaderValue::from_static(allow)))
    };
    web::resource(path).default_service(web::to(method_not_allowed))
}

/// GET, and HEAD with it.
pub(crate) fn get<F, Args>(handler: F) -> Route
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::route()
        .guard(guard::Any(guard::Get()).or(guard::Head()))
        .to(handler)
}

async fn not_found() -> Result<&'static str, Problem> {
    Err(Problem::new(
        StatusCode::NOT_FOUND,
        "There is nothing at this path.",
    ))
}

//! What people and scripts look at: the page, the waterfalls and the JSON API.

mod api;
pub(crate) mod html;
mod pages;
mod problem;

use actix_web::http::header;
use actix_web::middleware::DefaultHeaders;
use actix_web::{HttpResponse, web};
use serde_json::json;

use problem::Problem;

/// Nothing runs in these pages and nothing is loaded from elsewhere: what they show was sent by others.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'";

/// The routes; the store is taken from the application's data.
pub(crate) fn routes(service: &mut web::ServiceConfig) {
    let safe = DefaultHeaders::new()
        .add((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add((header::CACHE_CONTROL, "no-cache"));
    let query =
        web::QueryConfig::default().error_handler(|error, _| Problem::BadRequest(error.to_string()).into());
    service.app_data(query).service(
        web::scope("")
            .wrap(safe)
            .service(web::resource("/").get(pages::list))
            .service(web::resource("/traces/{trace_id}.txt").get(pages::trace_text))
            .service(web::resource("/traces/{trace_id}").get(pages::trace))
            .service(web::resource("/api/traces").get(api::traces))
            .service(web::resource("/api/traces/{trace_id}").get(api::trace))
            .service(web::resource("/api/logs").get(api::logs))
            .service(web::resource("/api/metrics").get(api::metrics))
            .service(web::resource("/assets/lens.css").get(pages::stylesheet))
            .service(web::resource("/assets/lens.svg").get(pages::icon))
            .service(web::resource("/health").get(health))
            .default_service(web::to(nothing_here)),
    );
}

async fn nothing_here() -> Result<HttpResponse, Problem> {
    Err(Problem::NotFound("there is nothing at this address".to_owned()))
}

async fn health() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

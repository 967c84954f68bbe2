//! The pages for people and the JSON API.

mod api;
mod html;
mod pages;
mod params;
mod problem;
mod waterfall;

use actix_web::http::header;
use actix_web::middleware::DefaultHeaders;
use actix_web::{HttpResponse, web};
use serde_json::json;

use problem::Problem;

/// The pages show untrusted text: no scripts, nothing from other hosts. The console on this machine shows a
/// trace inside its page of an order.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors http://127.0.0.1:* http://localhost:*";

/// The control room of the local stack; `None` outside of such a stack.
#[derive(Debug)]
#[expect(dead_code, reason = "the navigation will show it")]
pub(crate) struct SystemUrl(pub(crate) Option<String>);

/// The routes. They need the store and the [`SystemUrl`] in the application's data.
pub(crate) fn routes(service: &mut web::ServiceConfig) {
    let security_headers = DefaultHeaders::new()
        .add((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add((header::CACHE_CONTROL, "no-cache"));
    let query =
        web::QueryConfig::default().error_handler(|error, _| Problem::BadRequest(error.to_string()).into());
    service.app_data(query).service(
        web::scope("")
            .wrap(security_headers)
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
            .default_service(web::to(unknown_path)),
    );
}

async fn unknown_path() -> Result<HttpResponse, Problem> {
    Err(Problem::NotFound("unknown path".to_owned()))
}

async fn health() -> HttpResponse {
    HttpResponse::Ok().json(json!({ "status": "ok" }))
}

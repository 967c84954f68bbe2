//! The pages for people and the JSON API.

pub(crate) mod address;
mod api;
mod assets;
mod compare_page;
mod escape;
pub(crate) mod filter;
pub(crate) mod frame;
mod lane;
mod live;
mod log_line;
mod log_list;
mod map_drawing;
mod map_links;
mod map_page;
mod metric_chart;
mod metric_unit;
mod metrics_page;
mod palette;
mod params;
mod period;
mod problem;
mod rates;
mod scrape;
mod span_row;
mod time_axis;
mod trace_list;
mod trace_page;
mod waits;

use actix_web::guard::fn_guard;
use actix_web::http::header;
use actix_web::middleware::DefaultHeaders;
use actix_web::{HttpResponse, web};
use serde_json::json;

pub(crate) use escape::Printable;
pub(crate) use frame::SystemUrl;
use live::Streams;
use problem::Problem;

/// The pages show untrusted text: scripts, styles, images and requests of this origin alone. The console on
/// this machine shows a trace inside its page of an order.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; \
     frame-ancestors http://127.0.0.1:* http://localhost:*";

/// The routes. They need the store and the [`SystemUrl`] in the application's data.
pub(crate) fn routes(service: &mut web::ServiceConfig) {
    let security_headers = DefaultHeaders::new()
        .add((header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY))
        .add((header::X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .add((header::REFERRER_POLICY, "no-referrer"))
        .add((header::CACHE_CONTROL, "no-cache"));
    let query =
        web::QueryConfig::default().error_handler(|error, _| Problem::BadRequest(error.to_string()).into());
    service
        .app_data(query)
        .app_data(web::Data::new(Streams::new()))
        .service(
            web::scope("")
                .wrap(security_headers)
                .configure(assets::routes)
                .service(web::resource("/").get(trace_list::show))
                .service(web::resource("/traces/{trace_id}.txt").get(trace_page::show_text))
                .service(web::resource("/traces/{trace_id}").get(trace_page::show))
                .service(web::resource("/logs").get(log_list::show))
                .service(
                    web::resource("/metrics")
                        .route(web::get().guard(fn_guard(scrape::is_wanted)).to(scrape::show))
                        .get(metrics_page::show),
                )
                .service(web::resource("/map").get(map_page::show))
                .service(web::resource("/compare").get(compare_page::show))
                .service(web::resource("/live/traces").get(trace_list::follow))
                .service(web::resource("/live/traces/{trace_id}").get(trace_page::follow))
                .service(web::resource("/live/logs").get(log_list::follow))
                .service(web::resource("/live/metrics").get(metrics_page::follow))
                .service(web::resource("/live/map").get(map_page::follow))
                .configure(api::routes)
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

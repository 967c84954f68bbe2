//! The sandbox's endpoints.

mod execute;
mod payment_intents;
mod sandbox;
mod span;

use actix_web::error::JsonPayloadError;
use actix_web::web::{self, JsonConfig, PayloadConfig, ServiceConfig};

use crate::error::StripeError;

/// A payment request is far smaller.
const BODY_LIMIT: usize = 64 << 10;

pub(crate) fn configure(service: &mut ServiceConfig) {
    let reject =
        |error: JsonPayloadError, _: &_| StripeError::invalid(format!("Invalid faults: {error}")).into();
    service
        .app_data(PayloadConfig::new(BODY_LIMIT))
        .app_data(JsonConfig::default().limit(BODY_LIMIT).error_handler(reject))
        .route("/health", web::get().to(health))
        .route(payment_intents::PATH, web::post().to(payment_intents::create))
        .route(payment_intents::PATH, web::get().to(payment_intents::list))
        .route("/v1/payment_intents/{id}", web::get().to(payment_intents::get))
        .route(
            "/v1/payment_intents/{id}/confirm",
            web::post().to(payment_intents::confirm),
        )
        .route(
            "/v1/payment_intents/{id}/cancel",
            web::post().to(payment_intents::cancel),
        )
        .route("/sandbox/faults", web::get().to(sandbox::faults))
        .route("/sandbox/faults", web::post().to(sandbox::replace_faults))
        .route("/sandbox/stats", web::get().to(sandbox::stats))
        .route(
            "/sandbox/payment_intents",
            web::get().to(sandbox::payment_intents),
        )
        .default_service(web::to(unknown_url));
}

async fn health() -> web::Json<serde_json::Value> {
    web::Json(serde_json::json!({ "status": "ok" }))
}

async fn unknown_url() -> Result<web::Json<()>, StripeError> {
    Err(StripeError::unknown_url())
}

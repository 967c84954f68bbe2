//! OpenTelemetry for services of actix-web, diesel-async, apalis and reqwest: one call sets it up from the environment, and
//! each integration makes the spans and metrics of the semantic conventions. It knows nothing of what the service does.
//!
//! | module | makes |
//! |---|---|
//! | [`http::server`] | SERVER spans of an actix-web app, and `http.server.request.duration` |
//! | [`http::client`] | CLIENT spans of reqwest calls, and `http.client.request.duration` |
//! | [`db`] | CLIENT spans of diesel statements, and `db.client.operation.duration` |
//! | [`job`] | PRODUCER and CONSUMER spans of queued jobs, and the `messaging.*` metrics |
//!
//! Spans of the service's own steps are plain `tracing` spans; they nest with the ones above in both directions. Their events
//! become log records that carry the trace.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! let service = throughline_telemetry::Service::new("shop", env!("CARGO_PKG_VERSION"));
//! let telemetry = throughline_telemetry::init(&service)?; // reads OTEL_*; inside a tokio runtime
//! tracing::info!("started");
//! telemetry.shutdown(Duration::from_secs(5)).await; // exports what is still there
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]
#![cfg_attr(
    not(all(
        feature = "actix",
        feature = "diesel",
        feature = "apalis",
        feature = "reqwest",
        feature = "redis"
    )),
    allow(
        dead_code,
        reason = "what integrations share is there whichever of them are built"
    )
)]

#[cfg(feature = "redis")]
pub mod cache;
#[cfg(feature = "diesel")]
pub mod db;
pub mod exception;
mod export;
pub mod http;
mod instruments;
mod intern;
#[cfg(feature = "apalis")]
pub mod job;
pub mod mask;
pub mod metrics;
pub mod names;
mod operation;
pub mod propagation;
#[cfg(all(feature = "actix", feature = "diesel"))]
mod repeats;
mod setup;
pub mod span;

pub use setup::{Service, SetupError, Telemetry, init, init_from};

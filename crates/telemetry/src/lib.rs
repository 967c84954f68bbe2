//! OpenTelemetry for services of actix-web, diesel-async, apalis, reqwest and Redis: one call sets it up from
//! the environment, and each integration makes the spans and metrics of the semantic conventions. It is
//! independent of the service's domain.
//!
//! | module | feature | makes |
//! |---|---|---|
//! | [`http::server`] | `actix` | SERVER spans of an actix-web app, and `http.server.request.duration` |
//! | [`http::client`] | `reqwest` | CLIENT spans of reqwest calls, and `http.client.request.duration` |
//! | [`db`] | `diesel` | CLIENT spans of diesel statements, `db.client.operation.duration`, pool metrics |
//! | [`cache`] | `redis` | CLIENT spans of Redis as a cache, and `db.client.operation.duration` |
//! | [`job`] | `job`, `apalis` | PRODUCER and CONSUMER spans of queued jobs, and the `messaging.*` metrics |
//! | [`template`] | | INTERNAL spans of rendered templates |
//! | [`metrics`] | | a service's own instruments |
//! | [`capture`] | | spans, log records and metrics of a test, in memory |
//! | [`exception`] | | errors as log records, with `exception.type` and `exception.message` |
//!
//! Spans of the service's own steps are plain `tracing` spans; they nest with the ones above in both
//! directions. Their events become log records that carry the trace. Everything that is exported is masked
//! first, by the `throughline-mask` crate. An unreachable collector does not slow requests down: queues are
//! bounded, and records that do not fit are counted (`telemetry.spans.dropped`, `telemetry.logs.dropped`).
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! // Reads OTEL_*; inside a tokio runtime.
//! let telemetry = throughline_telemetry::init("shop", env!("CARGO_PKG_VERSION"))?;
//! tracing::info!("started");
//! telemetry.shutdown(Duration::from_secs(5)).await; // exports what is still queued
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(
    not(feature = "full"),
    allow(
        dead_code,
        unused_imports,
        unused_variables,
        reason = "code that features share is compiled with any of them"
    )
)]

#[cfg(feature = "redis")]
pub mod cache;
pub mod capture;
#[cfg(feature = "diesel")]
pub mod db;
pub mod exception;
mod export;
#[doc(hidden)]
pub mod fuzzing;
pub mod http;
mod instruments;
mod intern;
#[cfg(feature = "job")]
pub mod job;
mod masking;
mod measures;
pub mod metrics;
pub mod names;
mod operation;
mod process;
pub mod propagation;
mod scope;
mod setup;
pub mod span;
pub mod template;

pub use mask;
pub use opentelemetry;
pub use opentelemetry_sdk;

pub use export::MaskedProcessor;
pub use setup::{BoxedLayer, Builder, SetupError, Telemetry, builder, init};

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

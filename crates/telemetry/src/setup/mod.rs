//! Starts OpenTelemetry from the environment and what the program adds, and shuts it down.

mod builder;
mod environment;
mod error;
mod event;
mod exporter;
mod limits;
mod lines;
#[cfg(feature = "__otlp")]
mod otlp;
mod panics;
mod providers;
mod records;
mod resource;
mod sampling;
mod signal;
mod subscriber;
mod timestamp;

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::global;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use settings::Env;
use tokio::sync::oneshot;

use self::environment::Environment;
use crate::export::ExportReport;
use crate::scope;

pub use builder::{Builder, builder};
pub use error::SetupError;

/// Running telemetry. Hold it until the end of the program, then call [`Telemetry::shutdown`]. A program that
/// ends without that call exports what it can within two seconds, when this is dropped.
#[derive(Debug)]
pub struct Telemetry {
    /// `None` after the shutdown.
    providers: Option<Providers>,
}

#[derive(Debug)]
struct Providers {
    tracer: Option<SdkTracerProvider>,
    meter: Option<SdkMeterProvider>,
    logger: Option<SdkLoggerProvider>,
}

/// The longest time that dropping a [`Telemetry`] blocks.
const DROP_TIMEOUT: Duration = Duration::from_secs(2);

/// Sets up traces, metrics, logs and propagation for this process, from `OTEL_*`, `ENVIRONMENT` and
/// `RUST_LOG`: [`builder`] with nothing added.
///
/// # Errors
/// As [`Builder::init`].
pub fn init(name: impl Into<String>, version: impl Into<String>) -> Result<Telemetry, SetupError> {
    builder(name, version).init()
}

impl Builder {
    /// Sets telemetry up. Call it once, inside a tokio runtime, before the first span. From then on a panic
    /// is a log record, masked like any other, instead of lines on stderr.
    ///
    /// # Errors
    /// If a variable has a value that is not accepted, no TLS provider is installed, a certificate cannot be
    /// used, a tracing subscriber is installed already, or a text was masked before the program's patterns
    /// were added.
    pub fn init(self) -> Result<Telemetry, SetupError> {
        if !self.patterns.is_empty() {
            mask::add_patterns(&self.patterns)?;
        }
        let env = self.variables.unwrap_or_else(Env::process);
        let environment = Environment::from_env(&env).map_err(|error| SetupError::variable(&error))?;
        let resource = resource::detect(self.service, &environment.name, &env);
        let resource = resource.map_err(|error| SetupError::variable(&error))?;
        let telemetry = start(environment, &resource)?;
        if self.panic_hook {
            panics::install();
        }
        Ok(telemetry)
    }
}

fn start(environment: Environment, resource: &Resource) -> Result<Telemetry, SetupError> {
    let report = Arc::new(ExportReport::default());
    let providers = Providers {
        tracer: providers::tracer(&environment, resource, &report)?,
        meter: providers::meter(&environment, resource, &report)?,
        logger: providers::logger(&environment, resource, &report)?,
    };
    let tracer = providers
        .tracer
        .as_ref()
        .map(|provider| provider.tracer_with_scope(scope::scope()));
    subscriber::install(&environment, tracer, providers.logger.as_ref())?;

    global::set_text_map_propagator(environment.propagator);
    scope::enable(providers.tracer.is_some(), providers.meter.is_some());
    if let Some(provider) = &providers.tracer {
        global::set_tracer_provider(provider.clone());
    }
    if let Some(provider) = &providers.meter {
        global::set_meter_provider(provider.clone());
        report.register_metrics();
    }
    for (name, reason) in environment.ignored {
        tracing::warn!("{name} has no effect: {reason}");
    }
    Ok(Telemetry {
        providers: Some(providers),
    })
}

impl Telemetry {
    /// Exports what is still queued and stops; gives up after `timeout`.
    pub async fn shutdown(mut self, timeout: Duration) {
        let Some(providers) = self.providers.take() else {
            return;
        };
        let (sender, result) = oneshot::channel();
        // Not `spawn_blocking`: the runtime waits for such threads even after the timeout.
        std::thread::spawn(move || sender.send(providers.shutdown(timeout)));
        match tokio::time::timeout(timeout, result).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(error))) => tracing::warn!("telemetry was not exported to the end: {error}"),
            Ok(Err(_)) | Err(_) => {
                tracing::warn!("telemetry was not exported to the end within {timeout:?}");
            }
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(providers) = self.providers.take() {
            // A program that ends early has another error to report.
            let _ = providers.shutdown(DROP_TIMEOUT);
        }
    }
}

impl Providers {
    /// Shuts down spans and log records at the same time, so that neither uses up the other's time, then
    /// metrics in the time that is left: they count what the other two lost. Blocks.
    fn shutdown(self, timeout: Duration) -> OTelSdkResult {
        let deadline = Instant::now() + timeout;
        let tracer = self.tracer;
        let spans = std::thread::spawn(move || tracer.map(|it| it.shutdown_with_timeout(timeout)));
        let records = self.logger.map(|it| it.shutdown_with_timeout(timeout));
        let spans = spans.join().ok().flatten();
        let left = deadline.saturating_duration_since(Instant::now());
        let metrics = self.meter.map(|it| it.shutdown_with_timeout(left));
        [spans, records, metrics].into_iter().flatten().collect()
    }
}

//! Starts OpenTelemetry from variables or a file and what the program adds, and shuts it down.

mod additions;
mod builder;
mod configuration;
mod environment;
mod error;
mod event;
mod exporter;
#[cfg(feature = "config-file")]
mod file;
mod limits;
mod lines;
#[cfg(feature = "__otlp")]
mod otlp;
mod panics;
mod propagators;
mod providers;
mod queued;
mod records;
mod resource;
mod sampling;
mod signal;
mod subscriber;

use std::sync::Arc;
use std::time::{Duration, Instant};

use opentelemetry::global;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use settings::Env;
use tokio::sync::oneshot;
use tracing::Subscriber;
use tracing_subscriber::registry::LookupSpan;

use self::configuration::Configuration;
use self::subscriber::Outputs;
use crate::export::ExportReport;
use crate::{process, scope};

pub use builder::{Builder, builder};
pub use error::SetupError;
pub use subscriber::BoxedLayer;

/// Running telemetry. Hold it until the end of the program, then call [`Telemetry::shutdown`]. A program that
/// ends without that call exports what it can within two seconds, when this is dropped.
#[derive(Debug)]
pub struct Telemetry {
    /// `None` after the shutdown.
    providers: Option<Providers>,
}

#[derive(Debug, Clone)]
struct Providers {
    tracer: Option<SdkTracerProvider>,
    meter: Option<SdkMeterProvider>,
    logger: Option<SdkLoggerProvider>,
}

/// The longest time that dropping a [`Telemetry`] blocks.
const DROP_TIMEOUT: Duration = Duration::from_secs(2);

/// Sets up traces, metrics, logs and propagation for this process, from `OTEL_*`, `ENVIRONMENT` and
/// `RUST_LOG`, or the file of `OTEL_CONFIG_FILE`: [`builder`] with nothing added.
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
    /// If a variable or the configuration file has a value that is not accepted, no TLS provider is
    /// installed, a certificate cannot be used, a tracing subscriber is installed already, or a text was
    /// masked before the program's patterns were added.
    pub fn init(mut self) -> Result<Telemetry, SetupError> {
        let layers = std::mem::take(&mut self.layers);
        self.start(|configuration, outputs| subscriber::install(configuration, outputs, layers))
    }

    /// Sets telemetry up without a `tracing` subscriber, for a program that has its own, and returns the
    /// layers for it:
    ///
    /// ```no_run
    /// # async fn run() -> Result<(), throughline_telemetry::SetupError> {
    /// use tracing_subscriber::layer::SubscriberExt;
    /// use tracing_subscriber::util::SubscriberInitExt;
    ///
    /// let (telemetry, layers) = throughline_telemetry::builder("shop", "1.0.0").layers()?;
    /// tracing_subscriber::registry().with(layers).init();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Layers of [`Builder::layer`] are not among them.
    ///
    /// # Errors
    /// As [`Builder::init`].
    pub fn layers<S>(self) -> Result<(Telemetry, Vec<BoxedLayer<S>>), SetupError>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        let mut layers = Vec::new();
        let telemetry = self.start(|configuration, outputs| {
            layers = subscriber::layers(configuration, outputs);
            Ok(())
        })?;
        Ok((telemetry, layers))
    }

    fn start(
        mut self,
        subscribe: impl FnOnce(&Configuration, Outputs) -> Result<(), SetupError>,
    ) -> Result<Telemetry, SetupError> {
        if !self.patterns.is_empty() {
            mask::add_patterns(&self.patterns)?;
        }
        let env = self.variables.unwrap_or_else(Env::process);
        let configuration = configuration(&env)?;
        let resource = resource::detect(self.service, &configuration, &env);
        let report = Arc::new(ExportReport::default());
        let additions = &mut self.additions;
        let providers = Providers {
            tracer: providers::tracer(&configuration, &resource, &report, additions)?,
            meter: providers::meter(&configuration, &resource, &report, additions)?,
            logger: providers::logger(&configuration, &resource, &report, additions)?,
        };
        let outputs = Outputs {
            tracer: providers
                .tracer
                .as_ref()
                .map(|provider| provider.tracer_with_scope(scope::scope())),
            logger: providers.logger.clone(),
            lines: self.lines,
        };
        subscribe(&configuration, outputs)?;
        providers.install(&report);
        if self.process_metrics && providers.meter.is_some() {
            process::register();
        }
        global::set_text_map_propagator(configuration.propagator);
        for warning in configuration.warnings {
            tracing::warn!("{warning}");
        }
        if self.panic_hook {
            panics::install();
        }
        Ok(Telemetry {
            providers: Some(providers),
        })
    }
}

/// From the file of `OTEL_CONFIG_FILE`, otherwise from the variables of the specification.
fn configuration(env: &Env) -> Result<Configuration, SetupError> {
    const FILE: &str = "OTEL_CONFIG_FILE";
    match env.get(FILE) {
        #[cfg(feature = "config-file")]
        Some(path) => file::read(path, env),
        #[cfg(not(feature = "config-file"))]
        Some(path) => {
            let takes = "no file: only the feature `config-file` of throughline-telemetry reads it";
            Err(SetupError::variable(&settings::SettingError::bad(
                FILE, path, takes,
            )))
        }
        None => environment::read(env).map_err(|error| SetupError::variable(&error)),
    }
}

impl Telemetry {
    /// The provider of spans; `None` if they are not exported.
    pub fn tracer_provider(&self) -> Option<&SdkTracerProvider> {
        self.providers.as_ref()?.tracer.as_ref()
    }

    /// The provider of instruments; `None` if metrics are not exported.
    pub fn meter_provider(&self) -> Option<&SdkMeterProvider> {
        self.providers.as_ref()?.meter.as_ref()
    }

    /// The provider of log records; `None` if they are not exported. What is emitted to it directly is not
    /// masked.
    pub fn logger_provider(&self) -> Option<&SdkLoggerProvider> {
        self.providers.as_ref()?.logger.as_ref()
    }

    /// Exports what is queued now, such as before a process is frozen.
    ///
    /// # Errors
    /// If an exporter fails, or has not ended within `timeout`; it continues then.
    pub async fn force_flush(&self, timeout: Duration) -> OTelSdkResult {
        let Some(providers) = self.providers.clone() else {
            return Err(OTelSdkError::AlreadyShutdown);
        };
        on_a_thread(timeout, move || providers.force_flush()).await
    }

    /// Exports what is still queued and stops; gives up after `timeout`.
    pub async fn shutdown(mut self, timeout: Duration) {
        let Some(providers) = self.providers.take() else {
            return;
        };
        if let Err(error) = on_a_thread(timeout, move || providers.shutdown(timeout)).await {
            tracing::warn!("telemetry was not exported to the end: {error}");
        }
    }
}

/// Not `spawn_blocking`: the runtime waits for such threads even after the timeout.
async fn on_a_thread(
    timeout: Duration,
    work: impl FnOnce() -> OTelSdkResult + Send + 'static,
) -> OTelSdkResult {
    let (sender, result) = oneshot::channel();
    std::thread::spawn(move || sender.send(work()));
    match tokio::time::timeout(timeout, result).await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) | Err(_) => Err(OTelSdkError::Timeout(timeout)),
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
    /// As the process's.
    fn install(&self, report: &Arc<ExportReport>) {
        scope::enable(self.tracer.is_some(), self.meter.is_some());
        if let Some(provider) = &self.tracer {
            global::set_tracer_provider(provider.clone());
        }
        if let Some(provider) = &self.meter {
            global::set_meter_provider(provider.clone());
            report.register_metrics();
        }
    }

    /// Blocks.
    fn force_flush(&self) -> OTelSdkResult {
        let spans = self.tracer.as_ref().map(SdkTracerProvider::force_flush);
        let records = self.logger.as_ref().map(SdkLoggerProvider::force_flush);
        let metrics = self.meter.as_ref().map(SdkMeterProvider::force_flush);
        [spans, records, metrics].into_iter().flatten().collect()
    }

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

//! Setting OpenTelemetry up from the environment, and shutting it down with nothing left behind.

mod exporters;
mod logs;
mod resource;
mod settings;

use std::sync::LazyLock;
use std::time::Duration;

use opentelemetry::InstrumentationScope;
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::metrics::Meter;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use opentelemetry_semantic_conventions::SCHEMA_URL;

use self::settings::OtelSettings;

/// The service that telemetry is about. `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` win over it.
#[derive(Debug, Clone)]
pub struct Service {
    name: &'static str,
    version: &'static str,
    namespace: Option<&'static str>,
}

impl Service {
    /// A service by its name (`service.name`) and version (`service.version`).
    pub const fn new(name: &'static str, version: &'static str) -> Self {
        Self {
            name,
            version,
            namespace: None,
        }
    }

    /// The product that the service is part of (`service.namespace`).
    #[must_use]
    pub const fn namespace(mut self, namespace: &'static str) -> Self {
        self.namespace = Some(namespace);
        self
    }
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A variable has a value that cannot be taken.
    #[error(transparent)]
    Setting(#[from] ::settings::SettingError),
    /// An OTLP exporter could not be built, for example of a malformed endpoint.
    #[error("the OTLP exporter for {signal}: {source}")]
    Exporter {
        /// traces, metrics or logs.
        signal: &'static str,
        /// What opentelemetry-otlp says.
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// Another subscriber was installed before.
    #[error("a tracing subscriber is installed already")]
    SubscriberInstalled,
}

/// Telemetry that runs; keep it until the end, then call [`Telemetry::shutdown`].
#[derive(Debug)]
pub struct Telemetry {
    tracer: Option<SdkTracerProvider>,
    meter: Option<SdkMeterProvider>,
    logger: Option<SdkLoggerProvider>,
}

/// Sets up traces, metrics, logs and propagation for this process, from `OTEL_*`, `ENVIRONMENT` and `RUST_LOG`. Call it once,
/// inside a tokio runtime, before the first span.
pub fn init(service: &Service) -> Result<Telemetry, SetupError> {
    let settings = OtelSettings::from_env(&::settings::Env::process())?;
    global::set_text_map_propagator(settings.propagator());

    let resource = resource::detect(service, &settings);
    let telemetry = Telemetry {
        tracer: exporters::tracer_provider(&settings, &resource)?,
        meter: exporters::meter_provider(&settings, &resource)?,
        logger: exporters::logger_provider(&settings, &resource)?,
    };
    let tracer = telemetry
        .tracer
        .as_ref()
        .map(|provider| provider.tracer_with_scope(scope()));
    logs::install(&settings, tracer, telemetry.logger.as_ref())?;
    if let Some(provider) = &telemetry.tracer {
        global::set_tracer_provider(provider.clone());
    }
    if let Some(provider) = &telemetry.meter {
        global::set_meter_provider(provider.clone());
    }
    Ok(telemetry)
}

impl Telemetry {
    /// Exports what is still there and ends; gives up after `timeout`. Blocks a thread of the blocking pool, never the caller's.
    pub async fn shutdown(self, timeout: Duration) {
        let ended = tokio::task::spawn_blocking(move || {
            // Spans first: they are what a person will look for.
            let results = [
                self.tracer
                    .map(|provider| provider.shutdown_with_timeout(timeout)),
                self.logger
                    .map(|provider| provider.shutdown_with_timeout(timeout)),
                self.meter
                    .map(|provider| provider.shutdown_with_timeout(timeout)),
            ];
            for error in results.into_iter().flatten().filter_map(Result::err) {
                tracing::warn!(%error, "telemetry was not exported to the end");
            }
        });
        // Beyond the timeout the thread goes on by itself, and the process does not wait for it.
        let _ = tokio::time::timeout(timeout, ended).await;
    }
}

/// The scope of every span and metric that this crate makes.
fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(SCHEMA_URL)
        .build()
}

pub(crate) fn tracer() -> &'static BoxedTracer {
    static TRACER: LazyLock<BoxedTracer> = LazyLock::new(|| global::tracer_with_scope(scope()));
    &TRACER
}

pub(crate) fn meter() -> &'static Meter {
    static METER: LazyLock<Meter> = LazyLock::new(|| global::meter_with_scope(scope()));
    &METER
}

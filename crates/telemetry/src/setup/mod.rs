//! Setting OpenTelemetry up from the environment, and shutting it down with nothing left behind.

mod limits;
mod lines;
mod logs;
mod otlp;
mod panics;
mod providers;
mod resource;
mod sampling;
mod settings;
mod transport;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use ::settings::Env;
use opentelemetry::InstrumentationScope;
use opentelemetry::global::{self, BoxedTracer};
use opentelemetry::metrics::Meter;
use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use opentelemetry_semantic_conventions::SCHEMA_URL;
use tokio::sync::oneshot;

use self::settings::OtelSettings;
use crate::export::Notices;

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
    /// An OTLP exporter could not be built.
    #[error("the OTLP exporter for {signal}: {source}")]
    Exporter {
        /// traces, metrics or logs.
        signal: &'static str,
        /// What opentelemetry-otlp says.
        source: opentelemetry_otlp::ExporterBuildError,
    },
    /// The HTTP client of the OTLP exporters could not be built, for example of a certificate that cannot be read.
    #[error("the HTTP client of the OTLP exporters: {0}")]
    Client(String),
    /// Another subscriber was installed before.
    #[error("a tracing subscriber is installed already")]
    SubscriberInstalled,
}

/// Telemetry that runs; keep it until the end, then call [`Telemetry::shutdown`]. If a program ends another way, dropping it
/// exports what it can within two seconds.
#[derive(Debug)]
pub struct Telemetry {
    /// `None` once it is shut down.
    providers: Option<Providers>,
}

#[derive(Debug)]
struct Providers {
    tracer: Option<SdkTracerProvider>,
    meter: Option<SdkMeterProvider>,
    logger: Option<SdkLoggerProvider>,
}

/// How long a program that drops its [`Telemetry`] may have to wait for the collector.
const DROP_TIMEOUT: Duration = Duration::from_secs(2);

/// Whether spans and metrics go anywhere. Where they do not, the integrations do nothing at all.
static TRACING: AtomicBool = AtomicBool::new(true);
static METERING: AtomicBool = AtomicBool::new(true);

/// Sets up traces, metrics, logs and propagation for this process, from `OTEL_*`, `ENVIRONMENT` and `RUST_LOG`. Call it once,
/// inside a tokio runtime, before the first span. From then on a panic is a log record, masked like any other, instead of lines on
/// stderr.
///
/// # Errors
/// If a variable has a value that it does not take; if no TLS provider is installed, a certificate cannot be used, or there is
/// a tracing subscriber already.
pub fn init(service: &Service) -> Result<Telemetry, SetupError> {
    let telemetry = init_from(service, &Env::process())?;
    panics::install();
    Ok(telemetry)
}

/// Like [`init`], but from other variables than those of this process, as a test may want, and panics stay as they are.
///
/// # Errors
/// As [`init`].
pub fn init_from(service: &Service, env: &Env) -> Result<Telemetry, SetupError> {
    let settings = OtelSettings::from_env(env)?;
    let resource = resource::detect(service, &settings.environment, env)?;
    let notices = Arc::new(Notices::default());
    let providers = Providers {
        tracer: providers::tracer(&settings, &resource, &notices)?,
        meter: providers::meter(&settings, &resource, &notices)?,
        logger: providers::logger(&settings, &resource, &notices)?,
    };
    let tracer = providers
        .tracer
        .as_ref()
        .map(|provider| provider.tracer_with_scope(scope()));
    logs::install(&settings, tracer, providers.logger.as_ref())?;

    global::set_text_map_propagator(settings.propagator());
    TRACING.store(providers.tracer.is_some(), Ordering::Relaxed);
    METERING.store(providers.meter.is_some(), Ordering::Relaxed);
    if let Some(provider) = &providers.tracer {
        global::set_tracer_provider(provider.clone());
    }
    if let Some(provider) = &providers.meter {
        global::set_meter_provider(provider.clone());
        notices.observe();
    }
    for ignored in &settings.ignored {
        tracing::warn!("{} has no effect: {}", ignored.name, ignored.why);
    }
    Ok(Telemetry {
        providers: Some(providers),
    })
}

impl Telemetry {
    /// Exports what is still there and ends; gives up after `timeout`.
    pub async fn shutdown(mut self, timeout: Duration) {
        let Some(providers) = self.providers.take() else {
            return;
        };
        let (ended, end) = oneshot::channel();
        // A thread of our own: the runtime waits for those of its blocking pool, even beyond the timeout.
        std::thread::spawn(move || ended.send(providers.shutdown(timeout)));
        match tokio::time::timeout(timeout, end).await {
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
            // A program that ends early has an error to show, and this is none.
            let _ = providers.shutdown(DROP_TIMEOUT);
        }
    }
}

impl Providers {
    /// Spans and log records at once, so that neither uses up the time of the other; metrics last, since they count what of
    /// these was lost, in the time that is left. Blocks.
    fn shutdown(self, timeout: Duration) -> OTelSdkResult {
        let Self {
            tracer,
            meter,
            logger,
        } = self;
        let deadline = Instant::now() + timeout;
        let spans = std::thread::spawn(move || tracer.map(|it| it.shutdown_with_timeout(timeout)));
        let records = logger.map(|it| it.shutdown_with_timeout(timeout));
        let spans = spans.join().ok().flatten();
        let left = deadline.saturating_duration_since(Instant::now());
        let metrics = meter.map(|it| it.shutdown_with_timeout(left));
        [spans, records, metrics].into_iter().flatten().collect()
    }
}

/// The scope of every span and metric that this crate makes.
fn scope() -> InstrumentationScope {
    InstrumentationScope::builder(env!("CARGO_PKG_NAME"))
        .with_version(env!("CARGO_PKG_VERSION"))
        .with_schema_url(SCHEMA_URL)
        .build()
}

pub(crate) fn is_tracing() -> bool {
    TRACING.load(Ordering::Relaxed)
}

pub(crate) fn is_metering() -> bool {
    METERING.load(Ordering::Relaxed)
}

pub(crate) fn tracer() -> &'static BoxedTracer {
    static TRACER: LazyLock<BoxedTracer> = LazyLock::new(|| global::tracer_with_scope(scope()));
    &TRACER
}

pub(crate) fn meter() -> &'static Meter {
    static METER: LazyLock<Meter> = LazyLock::new(|| global::meter_with_scope(scope()));
    &METER
}

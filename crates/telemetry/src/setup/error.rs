//! Why telemetry cannot be set up.

use opentelemetry_otlp::ExporterBuildError;
use settings::SettingError;

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A variable has a value that is not accepted.
    #[error(transparent)]
    Setting(#[from] SettingError),
    /// An OTLP exporter cannot be built.
    #[error("the OTLP exporter for {signal}: {source}")]
    Exporter {
        /// `traces`, `metrics` or `logs`.
        signal: &'static str,
        /// The error of opentelemetry-otlp.
        source: ExporterBuildError,
    },
    /// The HTTP client of the OTLP exporters cannot be built, for example for an unreadable certificate.
    #[error("the HTTP client of the OTLP exporters: {0}")]
    Client(String),
    /// Another subscriber is installed already.
    #[error("a tracing subscriber is installed already")]
    SubscriberInstalled,
    /// The patterns of [`Service::masking`](crate::Service::masking) cannot be added.
    #[error("masking: {0}")]
    Patterns(#[from] mask::TooLate),
}

impl SetupError {
    pub(super) fn exporter(signal: &'static str) -> impl FnOnce(ExporterBuildError) -> Self {
        move |source| Self::Exporter { signal, source }
    }
}

//! Why telemetry cannot be set up.

use settings::SettingError;

/// Why telemetry cannot be set up.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// A variable has a value that is not accepted. The text names the variable, its value and what it takes.
    #[error("{0}")]
    Variable(String),
    /// The file of `OTEL_CONFIG_FILE` is not accepted. The text has its path, the line, the key and what the
    /// key takes.
    #[error("OTEL_CONFIG_FILE: {0}")]
    File(String),
    /// An OTLP exporter over gRPC cannot be built.
    #[error("the OTLP exporter for {signal}: {reason}")]
    Exporter {
        /// `traces`, `metrics` or `logs`.
        signal: &'static str,
        /// What opentelemetry-otlp reports.
        reason: String,
    },
    /// The HTTP client of the OTLP exporters cannot be built, for example for an unreadable certificate.
    #[error("the HTTP client of the OTLP exporters: {0}")]
    Client(String),
    /// Another subscriber is installed already.
    #[error("a tracing subscriber is installed already")]
    SubscriberInstalled,
    /// The patterns of [`Builder::mask`](crate::Builder::mask) cannot be added.
    #[error("masking: {0}")]
    Patterns(#[from] mask::TooLate),
}

impl SetupError {
    /// Not a `From`: the error's type is not part of this crate's interface.
    pub(super) fn variable(error: &SettingError) -> Self {
        Self::Variable(error.to_string())
    }

    #[cfg(feature = "grpc")]
    pub(super) fn exporter<E: ToString>(signal: &'static str) -> impl FnOnce(E) -> Self {
        move |source| Self::Exporter {
            signal,
            reason: source.to_string(),
        }
    }

    #[cfg(feature = "__otlp")]
    #[expect(clippy::needless_pass_by_value, reason = "for map_err")]
    pub(super) fn client<E: ToString>(error: E) -> Self {
        Self::Client(error.to_string())
    }
}

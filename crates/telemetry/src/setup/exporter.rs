//! `OTEL_TRACES_EXPORTER` and its like: where a signal is exported to. The crate's features decide what
//! exists.

use settings::{Env, SettingError};

#[cfg(feature = "__otlp")]
use super::otlp::Otlp;
use super::signal::Signal;

#[derive(Debug)]
pub(super) enum Exporter {
    #[cfg(feature = "__otlp")]
    Otlp(Box<Otlp>),
    #[cfg(feature = "console")]
    Console,
    None,
}

const DEFAULT: &str = if cfg!(feature = "__otlp") { "otlp" } else { "none" };

const TAKES: &str = if cfg!(all(feature = "__otlp", feature = "console")) {
    "otlp, console or none"
} else {
    "none, or what the features `http-proto`, `grpc` and `console` of throughline-telemetry add"
};

impl Exporter {
    pub(super) fn is_console(&self) -> bool {
        match self {
            #[cfg(feature = "__otlp")]
            Self::Otlp(_) => false,
            #[cfg(feature = "console")]
            Self::Console => true,
            Self::None => false,
        }
    }

    pub(super) fn is_none(&self) -> bool {
        matches!(self, Self::None)
    }

    pub(super) fn from_env(env: &Env, signal: &Signal) -> Result<Self, SettingError> {
        let exporter = env.get(signal.exporter).unwrap_or(DEFAULT);
        match exporter.to_ascii_lowercase().as_str() {
            #[cfg(feature = "__otlp")]
            "otlp" => Ok(Self::Otlp(Box::new(Otlp::from_env(env, signal)?))),
            #[cfg(feature = "console")]
            "console" => Ok(Self::Console),
            "none" => Ok(Self::None),
            _ => Err(SettingError::bad(signal.exporter, exporter, TAKES)),
        }
    }
}

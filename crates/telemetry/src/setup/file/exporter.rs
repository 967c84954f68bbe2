//! `exporter` of processors and readers. The crate's features decide which exist.

use opentelemetry_sdk::metrics::Temporality;
use serde::Deserialize;

#[cfg(feature = "__otlp")]
use super::otlp::Otlp;
use super::purpose::Purpose;
use super::refusal::Refusal;
#[cfg(feature = "console")]
use super::values::Empty;
use crate::setup::exporter;
#[cfg(feature = "grpc")]
use crate::setup::otlp::Protocol;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Exporter {
    #[cfg(feature = "http-proto")]
    OtlpHttp(Box<Otlp>),
    #[cfg(feature = "grpc")]
    OtlpGrpc(Box<Otlp>),
    #[cfg(feature = "console")]
    Console(Empty),
}

/// The exporter of a simple processor, which has no queue in front of a network.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum SimpleExporter {
    #[cfg(feature = "console")]
    Console(Empty),
}

impl Exporter {
    pub(super) fn temporality(&self) -> Temporality {
        // Not `self`: without any feature there is no exporter.
        match *self {
            #[cfg(feature = "http-proto")]
            Self::OtlpHttp(ref otlp) => otlp.temporality(),
            #[cfg(feature = "grpc")]
            Self::OtlpGrpc(ref otlp) => otlp.temporality(),
            #[cfg(feature = "console")]
            Self::Console(Empty {}) => Temporality::Cumulative,
        }
    }

    pub(super) fn build(self, purpose: Purpose<'_>) -> Result<exporter::Exporter, Refusal> {
        match self {
            #[cfg(feature = "http-proto")]
            Self::OtlpHttp(otlp) => {
                let protocol = otlp.http();
                let built = otlp.build(protocol, purpose);
                let built = built.map_err(|refusal| refusal.within("otlp_http"))?;
                Ok(exporter::Exporter::Otlp(Box::new(built)))
            }
            #[cfg(feature = "grpc")]
            Self::OtlpGrpc(otlp) => {
                let built = otlp.build(Protocol::Grpc, purpose);
                let built = built.map_err(|refusal| refusal.within("otlp_grpc"))?;
                Ok(exporter::Exporter::Otlp(Box::new(built)))
            }
            #[cfg(feature = "console")]
            Self::Console(Empty {}) => Ok(exporter::Exporter::Console),
        }
    }
}

impl SimpleExporter {
    pub(super) fn build(self) -> exporter::Exporter {
        match self {
            #[cfg(feature = "console")]
            Self::Console(Empty {}) => exporter::Exporter::Console,
        }
    }
}

//! What a program adds to the providers of the configuration.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::logs::LoggerProviderBuilder;
use opentelemetry_sdk::metrics::MeterProviderBuilder;
use opentelemetry_sdk::trace::TracerProviderBuilder;

use super::limits::Batch;
use crate::export::ExportReport;

/// What an addition may need of the configuration.
#[derive(Debug, Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) batch: Batch,
    pub(super) value_length: Option<usize>,
    pub(super) report: &'a Arc<ExportReport>,
}

type Add<B, E> = Box<dyn FnOnce(B, E) -> B + Send>;
type AddTo<B> = Box<dyn for<'a> FnOnce(B, Surroundings<'a>) -> B + Send>;

#[derive(Default)]
pub(super) struct Additions {
    pub(super) spans: Vec<AddTo<TracerProviderBuilder>>,
    pub(super) records: Vec<AddTo<LoggerProviderBuilder>>,
    /// With the interval of their exports.
    pub(super) metrics: Vec<Add<MeterProviderBuilder, Duration>>,
    pub(super) views: Vec<Add<MeterProviderBuilder, ()>>,
}

//! What a program adds to the providers of the configuration.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_sdk::logs::{LogExporter, LogProcessor, LoggerProviderBuilder};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{Instrument, MeterProviderBuilder, Stream};
use opentelemetry_sdk::trace::{SpanExporter, SpanProcessor, TracerProviderBuilder};

use super::limits::Batch;
use super::queued;
use crate::export::{
    Accounting, AdmittedRecords, Counted, ExportReport, MaskedProcessor, MaskedSpans, Signal,
};

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
    pub(super) metrics: Vec<Add<MeterProviderBuilder, Duration>>,
    pub(super) views: Vec<Add<MeterProviderBuilder, ()>>,
}

impl Additions {
    pub(super) fn span_processor(&mut self, processor: impl SpanProcessor + 'static) {
        self.spans.push(Box::new(|provider, surroundings| {
            let masked = MaskedProcessor::new(processor).value_length(surroundings.value_length);
            provider.with_span_processor(masked)
        }));
    }

    pub(super) fn span_exporter(&mut self, exporter: impl SpanExporter + 'static) {
        self.spans.push(Box::new(|provider, surroundings| {
            let Surroundings {
                batch,
                value_length,
                report,
            } = surroundings;
            let accounting = Accounting::new(Signal::Traces, batch.queue, report);
            provider.with_span_processor(MaskedSpans {
                next: queued::spans(batch, Counted::new(exporter, &accounting, None)),
                accounting,
                value_length,
            })
        }));
    }

    pub(super) fn log_processor(&mut self, processor: impl LogProcessor + 'static) {
        self.records
            .push(Box::new(|provider, _| provider.with_log_processor(processor)));
    }

    pub(super) fn log_exporter(&mut self, exporter: impl LogExporter + 'static) {
        self.records.push(Box::new(|provider, surroundings| {
            let Surroundings { batch, report, .. } = surroundings;
            let accounting = Accounting::new(Signal::Logs, batch.queue, report);
            provider.with_log_processor(AdmittedRecords {
                next: queued::records(batch, Counted::new(exporter, &accounting, None)),
                accounting,
            })
        }));
    }

    pub(super) fn metric_exporter(&mut self, exporter: impl PushMetricExporter) {
        self.metrics.push(Box::new(|provider, interval| {
            queued::periodic(provider, interval, exporter)
        }));
    }

    pub(super) fn view(&mut self, view: impl Fn(&Instrument) -> Option<Stream> + Send + Sync + 'static) {
        self.views.push(Box::new(|provider, ()| provider.with_view(view)));
    }
}

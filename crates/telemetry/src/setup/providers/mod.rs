//! The provider of each signal, with the exporters of the configuration; `None` without one.

#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http-proto")]
mod http;
#[cfg(feature = "__otlp")]
mod tls;

use std::sync::Arc;

use opentelemetry_sdk::Resource;
#[cfg(feature = "console")]
use opentelemetry_sdk::logs::SimpleLogProcessor;
use opentelemetry_sdk::logs::{LogProcessor, LoggerProviderBuilder, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{Instrument, MeterProviderBuilder, SdkMeterProvider, Temporality};
#[cfg(feature = "console")]
use opentelemetry_sdk::trace::SimpleSpanProcessor;
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanProcessor, TracerProviderBuilder};

use super::additions::{Additions, Surroundings};
use super::configuration::{Configuration, Processor, Reader, View};
use super::error::SetupError;
use super::exporter::Exporter;
#[cfg(feature = "__otlp")]
use super::otlp::Protocol;
use super::queued;
#[cfg(feature = "http-proto")]
use crate::export::Encoding;
use crate::export::{Accounting, AdmittedRecords, Counted, ExportReport, MaskedProcessor, Signal};

/// `additions` loses those for spans.
pub(super) fn tracer(
    configuration: &Configuration,
    resource: &Resource,
    report: &Arc<ExportReport>,
    additions: &mut Additions,
) -> Result<Option<SdkTracerProvider>, SetupError> {
    let added = std::mem::take(&mut additions.spans);
    if added.is_empty() && configuration.traces.iter().all(|it| it.exporter.is_none()) {
        return Ok(None);
    }
    let its = Surroundings {
        batch: configuration.span_batch,
        value_length: configuration.span_value_length,
        report,
    };
    let mut provider = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_sampler(configuration.sampler.clone())
        .with_span_limits(configuration.span_limits);
    for processor in &configuration.traces {
        provider = with_spans(provider, processor, resource, its)?;
    }
    for add in added {
        provider = add(provider, its);
    }
    Ok(Some(provider.build()))
}

fn with_spans(
    provider: TracerProviderBuilder,
    processor: &Processor,
    resource: &Resource,
    its: Surroundings<'_>,
) -> Result<TracerProviderBuilder, SetupError> {
    let batch = processor.batch;
    let accounting = Accounting::new(Signal::Traces, batch.queue, its.report);
    Ok(match &processor.exporter {
        Exporter::None => provider,
        #[cfg(feature = "console")]
        Exporter::Console => {
            let exporter = Counted::new(opentelemetry_stdout::SpanExporter::default(), &accounting, None);
            if processor.is_simple {
                masked(provider, SimpleSpanProcessor::new(exporter), accounting, its)
            } else {
                masked(provider, queued::spans(batch, exporter), accounting, its)
            }
        }
        #[cfg(feature = "__otlp")]
        Exporter::Otlp(otlp) => match otlp.protocol {
            #[cfg(feature = "grpc")]
            Protocol::Grpc => {
                let exporter = grpc::spans(otlp, &accounting)?;
                masked(provider, queued::spans(batch, exporter), accounting, its)
            }
            #[cfg(feature = "http-proto")]
            Protocol::Http(Encoding::Protobuf) => {
                let queue = http::queue(otlp, resource, batch, &accounting)?;
                masked(provider, queue, accounting, its)
            }
            #[cfg(feature = "http-json")]
            Protocol::Http(encoding @ Encoding::Json) => {
                let exporter = http::counted(otlp, encoding, resource, Temporality::default(), &accounting)?;
                masked(provider, queued::spans(batch, exporter), accounting, its)
            }
        },
    })
}

fn masked(
    provider: TracerProviderBuilder,
    next: impl SpanProcessor + 'static,
    accounting: Arc<Accounting>,
    its: Surroundings<'_>,
) -> TracerProviderBuilder {
    provider.with_span_processor(MaskedProcessor::counted(next, its.value_length, accounting))
}

/// `additions` loses those for log records.
pub(super) fn logger(
    configuration: &Configuration,
    resource: &Resource,
    report: &Arc<ExportReport>,
    additions: &mut Additions,
) -> Result<Option<SdkLoggerProvider>, SetupError> {
    let added = std::mem::take(&mut additions.records);
    if added.is_empty() && configuration.logs.iter().all(|it| it.exporter.is_none()) {
        return Ok(None);
    }
    let its = Surroundings {
        batch: configuration.log_batch,
        value_length: configuration.log_limits.value_length,
        report,
    };
    let mut provider = SdkLoggerProvider::builder().with_resource(resource.clone());
    for processor in &configuration.logs {
        provider = with_records(provider, processor, resource, report)?;
    }
    for add in added {
        provider = add(provider, its);
    }
    Ok(Some(provider.build()))
}

fn with_records(
    provider: LoggerProviderBuilder,
    processor: &Processor,
    resource: &Resource,
    report: &Arc<ExportReport>,
) -> Result<LoggerProviderBuilder, SetupError> {
    let batch = processor.batch;
    let accounting = Accounting::new(Signal::Logs, batch.queue, report);
    let next: Option<Box<dyn LogProcessor>> = match &processor.exporter {
        Exporter::None => None,
        #[cfg(feature = "console")]
        Exporter::Console => {
            let exporter = Counted::new(opentelemetry_stdout::LogExporter::default(), &accounting, None);
            Some(if processor.is_simple {
                Box::new(SimpleLogProcessor::new(exporter))
            } else {
                Box::new(queued::records(batch, exporter))
            })
        }
        #[cfg(feature = "__otlp")]
        Exporter::Otlp(otlp) => Some(match otlp.protocol {
            #[cfg(feature = "grpc")]
            Protocol::Grpc => Box::new(queued::records(batch, grpc::records(otlp, &accounting)?)),
            #[cfg(feature = "http-proto")]
            Protocol::Http(Encoding::Protobuf) => Box::new(http::queue(otlp, resource, batch, &accounting)?),
            #[cfg(feature = "http-json")]
            Protocol::Http(encoding @ Encoding::Json) => {
                let exporter = http::counted(otlp, encoding, resource, Temporality::default(), &accounting)?;
                Box::new(queued::records(batch, exporter))
            }
        }),
    };
    Ok(match next {
        Some(next) => provider.with_log_processor(AdmittedRecords { next, accounting }),
        None => provider,
    })
}

/// `additions` loses those for metrics.
pub(super) fn meter(
    configuration: &Configuration,
    resource: &Resource,
    report: &Arc<ExportReport>,
    additions: &mut Additions,
) -> Result<Option<SdkMeterProvider>, SetupError> {
    let added = std::mem::take(&mut additions.metrics);
    if added.is_empty() && configuration.metrics.iter().all(|it| it.exporter.is_none()) {
        return Ok(None);
    }
    let mut provider = SdkMeterProvider::builder().with_resource(resource.clone());
    for View(view) in configuration.views.iter().cloned() {
        provider = provider.with_view(move |instrument: &Instrument| view(instrument));
    }
    for add in std::mem::take(&mut additions.views) {
        provider = add(provider, ());
    }
    for add in added {
        provider = add(provider, configuration.metric_interval);
    }
    for reader in &configuration.metrics {
        provider = with_reader(provider, reader, resource, report)?;
    }
    Ok(Some(provider.build()))
}

fn with_reader(
    provider: MeterProviderBuilder,
    reader: &Reader,
    resource: &Resource,
    report: &Arc<ExportReport>,
) -> Result<MeterProviderBuilder, SetupError> {
    let accounting = Accounting::new(Signal::Metrics, 0, report);
    let &Reader {
        interval,
        temporality,
        ..
    } = reader;
    Ok(match &reader.exporter {
        Exporter::None => provider,
        #[cfg(feature = "console")]
        Exporter::Console => {
            let exporter = Counted::new(opentelemetry_stdout::MetricExporter::default(), &accounting, None);
            queued::periodic(provider, interval, exporter)
        }
        #[cfg(feature = "__otlp")]
        Exporter::Otlp(otlp) => match otlp.protocol {
            #[cfg(feature = "grpc")]
            Protocol::Grpc => {
                let exporter = grpc::metrics(otlp, temporality, &accounting)?;
                queued::periodic(provider, interval, exporter)
            }
            #[cfg(feature = "http-proto")]
            Protocol::Http(encoding) => {
                let exporter = http::counted(otlp, encoding, resource, temporality, &accounting)?;
                queued::periodic(provider, interval, exporter)
            }
        },
    })
}

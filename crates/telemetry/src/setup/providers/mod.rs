//! The provider of each signal, with the exporters of the configuration; `None` without one.

#[cfg(feature = "console")]
mod console;
#[cfg(feature = "grpc")]
mod grpc;
#[cfg(feature = "http-proto")]
mod http;
#[cfg(feature = "__otlp")]
mod tls;

use std::sync::Arc;

use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{LogProcessor, LoggerProviderBuilder, SdkLoggerProvider};
#[cfg(feature = "config-file")]
use opentelemetry_sdk::metrics::Instrument;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, SdkMeterProvider};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanProcessor, TracerProviderBuilder};

use super::additions::{Additions, Surroundings};
use super::configuration::{Configuration, Processor, Reader};
use super::error::SetupError;
use super::exporter::Exporter;
#[cfg(feature = "__otlp")]
use super::otlp::Protocol;
use crate::export::{Accounting, AdmittedRecords, ExportReport, MaskedSpans, Signal};

/// `additions` loses those for spans.
pub(super) fn tracer(
    configuration: &Configuration,
    resource: &Resource,
    report: &Arc<ExportReport>,
    additions: &mut Additions,
) -> Result<Option<SdkTracerProvider>, SetupError> {
    let value_length = configuration.span_value_length;
    let mut processors = Vec::new();
    for processor in &configuration.traces {
        let accounting = Accounting::new(Signal::Traces, processor.batch.queue, report);
        processors.extend(spans(processor, resource, &accounting)?.map(|next| MaskedSpans {
            next,
            accounting,
            value_length,
        }));
    }
    let added = std::mem::take(&mut additions.spans);
    if processors.is_empty() && added.is_empty() {
        return Ok(None);
    }
    let provider = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_sampler(configuration.sampler.clone())
        .with_span_limits(configuration.span_limits);
    let provider = processors
        .into_iter()
        .fold(provider, TracerProviderBuilder::with_span_processor);
    let surroundings = Surroundings {
        batch: configuration.span_batch,
        value_length,
        report,
    };
    let provider = added
        .into_iter()
        .fold(provider, |provider, add| add(provider, surroundings));
    Ok(Some(provider.build()))
}

fn spans(
    processor: &Processor,
    resource: &Resource,
    accounting: &Arc<Accounting>,
) -> Result<Option<Box<dyn SpanProcessor>>, SetupError> {
    let batch = processor.batch;
    Ok(match &processor.exporter {
        Exporter::None => None,
        #[cfg(feature = "console")]
        Exporter::Console => Some(console::spans(processor, accounting)),
        #[cfg(feature = "__otlp")]
        Exporter::Otlp(otlp) => Some(match otlp.protocol {
            #[cfg(feature = "grpc")]
            Protocol::Grpc => grpc::spans(otlp, batch, accounting)?,
            #[cfg(feature = "http-proto")]
            Protocol::Http(encoding) => http::spans(otlp, encoding, resource, batch, accounting)?,
        }),
    })
}

/// `additions` loses those for log records.
pub(super) fn logger(
    configuration: &Configuration,
    resource: &Resource,
    report: &Arc<ExportReport>,
    additions: &mut Additions,
) -> Result<Option<SdkLoggerProvider>, SetupError> {
    let mut processors = Vec::new();
    for processor in &configuration.logs {
        let accounting = Accounting::new(Signal::Logs, processor.batch.queue, report);
        let next = records(processor, resource, &accounting)?;
        processors.extend(next.map(|next| AdmittedRecords { next, accounting }));
    }
    let added = std::mem::take(&mut additions.records);
    if processors.is_empty() && added.is_empty() {
        return Ok(None);
    }
    let provider = SdkLoggerProvider::builder().with_resource(resource.clone());
    let provider = processors
        .into_iter()
        .fold(provider, LoggerProviderBuilder::with_log_processor);
    let surroundings = Surroundings {
        batch: configuration.log_batch,
        value_length: configuration.log_limits.value_length,
        report,
    };
    let provider = added
        .into_iter()
        .fold(provider, |provider, add| add(provider, surroundings));
    Ok(Some(provider.build()))
}

fn records(
    processor: &Processor,
    resource: &Resource,
    accounting: &Arc<Accounting>,
) -> Result<Option<Box<dyn LogProcessor>>, SetupError> {
    let batch = processor.batch;
    Ok(match &processor.exporter {
        Exporter::None => None,
        #[cfg(feature = "console")]
        Exporter::Console => Some(console::records(processor, accounting)),
        #[cfg(feature = "__otlp")]
        Exporter::Otlp(otlp) => Some(match otlp.protocol {
            #[cfg(feature = "grpc")]
            Protocol::Grpc => grpc::records(otlp, batch, accounting)?,
            #[cfg(feature = "http-proto")]
            Protocol::Http(encoding) => http::records(otlp, encoding, resource, batch, accounting)?,
        }),
    })
}

/// `additions` loses those for metrics.
pub(super) fn meter(
    configuration: &Configuration,
    resource: &Resource,
    report: &Arc<ExportReport>,
    additions: &mut Additions,
) -> Result<Option<SdkMeterProvider>, SetupError> {
    let is_read = |reader: &Reader| !matches!(reader.exporter, Exporter::None);
    let added = std::mem::take(&mut additions.metrics);
    if added.is_empty() && !configuration.metrics.iter().any(is_read) {
        return Ok(None);
    }
    let mut provider = SdkMeterProvider::builder().with_resource(resource.clone());
    #[cfg(feature = "config-file")]
    for view in &configuration.views {
        let view = view.clone();
        provider = provider.with_view(move |instrument: &Instrument| view.stream(instrument));
    }
    for add in std::mem::take(&mut additions.views) {
        provider = add(provider, ());
    }
    for add in added {
        provider = add(provider, configuration.metric_interval);
    }
    for reader in &configuration.metrics {
        provider = with_reader(provider, reader, report)?;
    }
    Ok(Some(provider.build()))
}

fn with_reader(
    provider: MeterProviderBuilder,
    reader: &Reader,
    report: &Arc<ExportReport>,
) -> Result<MeterProviderBuilder, SetupError> {
    let accounting = Accounting::new(Signal::Metrics, 0, report);
    let interval = reader.interval;
    match &reader.exporter {
        Exporter::None => Ok(provider),
        #[cfg(feature = "console")]
        Exporter::Console => Ok(console::metrics(provider, interval, &accounting)),
        #[cfg(feature = "__otlp")]
        Exporter::Otlp(otlp) => match otlp.protocol {
            #[cfg(feature = "grpc")]
            Protocol::Grpc => grpc::metrics(provider, otlp, interval, reader.temporality, &accounting),
            #[cfg(feature = "http-proto")]
            Protocol::Http(encoding) => http::metrics(
                provider,
                otlp,
                encoding,
                interval,
                reader.temporality,
                &accounting,
            ),
        },
    }
}

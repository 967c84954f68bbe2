//! The provider of each signal, with the exporter that the environment selects; `None` without one.

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
use opentelemetry_sdk::logs::{LogProcessor, SdkLoggerProvider};
use opentelemetry_sdk::metrics::{MeterProviderBuilder, SdkMeterProvider};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanProcessor};

use super::additions::{Additions, Surroundings};
use super::environment::Environment;
use super::error::SetupError;
use super::exporter::Exporter;
#[cfg(feature = "__otlp")]
use super::otlp::Protocol;
use crate::export::{Accounting, AdmittedRecords, ExportReport, MaskedSpans, Signal};

/// `additions` loses those for spans.
pub(super) fn tracer(
    environment: &Environment,
    resource: &Resource,
    report: &Arc<ExportReport>,
    additions: &mut Additions,
) -> Result<Option<SdkTracerProvider>, SetupError> {
    let batch = environment.span_batch;
    let accounting = Accounting::new(Signal::Traces, batch.queue, report);
    let next: Option<Box<dyn SpanProcessor>> = match &environment.traces {
        Exporter::None => None,
        #[cfg(feature = "console")]
        Exporter::Console => Some(console::spans(&accounting)),
        #[cfg(feature = "__otlp")]
        Exporter::Otlp(otlp) => match otlp.protocol {
            #[cfg(feature = "grpc")]
            Protocol::Grpc => Some(grpc::spans(otlp, batch, &accounting)?),
            #[cfg(feature = "http-proto")]
            Protocol::Http(encoding) => Some(http::spans(otlp, encoding, resource, batch, &accounting)?),
        },
    };
    let added = std::mem::take(&mut additions.spans);
    if next.is_none() && added.is_empty() {
        return Ok(None);
    }
    let value_length = environment.span_value_length;
    let mut provider = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_sampler(environment.sampler.clone())
        .with_span_limits(environment.span_limits);
    if let Some(next) = next {
        provider = provider.with_span_processor(MaskedSpans {
            next,
            accounting,
            value_length,
        });
    }
    let surroundings = Surroundings {
        batch,
        value_length,
        report,
    };
    let provider = added
        .into_iter()
        .fold(provider, |provider, add| add(provider, surroundings));
    Ok(Some(provider.build()))
}

/// `additions` loses those for log records.
pub(super) fn logger(
    environment: &Environment,
    resource: &Resource,
    report: &Arc<ExportReport>,
    additions: &mut Additions,
) -> Result<Option<SdkLoggerProvider>, SetupError> {
    let batch = environment.log_batch;
    let accounting = Accounting::new(Signal::Logs, batch.queue, report);
    let next: Option<Box<dyn LogProcessor>> = match &environment.logs {
        Exporter::None => None,
        #[cfg(feature = "console")]
        Exporter::Console => Some(console::records(&accounting)),
        #[cfg(feature = "__otlp")]
        Exporter::Otlp(otlp) => match otlp.protocol {
            #[cfg(feature = "grpc")]
            Protocol::Grpc => Some(grpc::records(otlp, batch, &accounting)?),
            #[cfg(feature = "http-proto")]
            Protocol::Http(encoding) => Some(http::records(otlp, encoding, resource, batch, &accounting)?),
        },
    };
    let added = std::mem::take(&mut additions.records);
    if next.is_none() && added.is_empty() {
        return Ok(None);
    }
    let mut provider = SdkLoggerProvider::builder().with_resource(resource.clone());
    if let Some(next) = next {
        provider = provider.with_log_processor(AdmittedRecords { next, accounting });
    }
    let surroundings = Surroundings {
        batch,
        value_length: environment.log_limits.value_length,
        report,
    };
    let provider = added
        .into_iter()
        .fold(provider, |provider, add| add(provider, surroundings));
    Ok(Some(provider.build()))
}

/// `additions` loses those for metrics.
pub(super) fn meter(
    environment: &Environment,
    resource: &Resource,
    report: &Arc<ExportReport>,
    additions: &mut Additions,
) -> Result<Option<SdkMeterProvider>, SetupError> {
    let accounting = Accounting::new(Signal::Metrics, 0, report);
    let (interval, temporality) = (environment.metric_interval, environment.temporality);
    let added = std::mem::take(&mut additions.metrics);
    let provider = SdkMeterProvider::builder().with_resource(resource.clone());
    let views = std::mem::take(&mut additions.views);
    let provider = views
        .into_iter()
        .fold(provider, |provider, add| add(provider, ()));
    let is_added = !added.is_empty();
    let provider = added
        .into_iter()
        .fold(provider, |provider, add| add(provider, interval));
    let provider: Option<MeterProviderBuilder> = match &environment.metrics {
        Exporter::None => is_added.then_some(provider),
        #[cfg(feature = "console")]
        Exporter::Console => Some(console::metrics(provider, interval, &accounting)),
        #[cfg(feature = "__otlp")]
        Exporter::Otlp(otlp) => match otlp.protocol {
            #[cfg(feature = "grpc")]
            Protocol::Grpc => Some(grpc::metrics(provider, otlp, interval, temporality, &accounting)?),
            #[cfg(feature = "http-proto")]
            Protocol::Http(encoding) => Some(http::metrics(
                provider,
                otlp,
                encoding,
                interval,
                temporality,
                &accounting,
            )?),
        },
    };
    Ok(provider.map(MeterProviderBuilder::build))
}

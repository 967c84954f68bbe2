//! The three providers, each with the exporter that the environment asks for; `None` where a signal is switched off.

use opentelemetry_otlp::{
    ExporterBuildError, LogExporter, MetricExporter, Protocol, SpanExporter, WithExportConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::SdkLoggerProvider;
use opentelemetry_sdk::metrics::SdkMeterProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

use super::SetupError;
use super::settings::{Exporter, OtelSettings};

pub(super) fn tracer_provider(
    settings: &OtelSettings,
    resource: &Resource,
) -> Result<Option<SdkTracerProvider>, SetupError> {
    let builder = SdkTracerProvider::builder().with_resource(resource.clone());
    Ok(match settings.traces {
        Exporter::None => None,
        Exporter::Console => Some(
            builder
                .with_simple_exporter(opentelemetry_stdout::SpanExporter::default())
                .build(),
        ),
        Exporter::Otlp(protocol) => {
            let exporter = match protocol {
                Protocol::Grpc => SpanExporter::builder().with_tonic().build(),
                http => SpanExporter::builder()
                    .with_http()
                    .with_protocol(http)
                    .build(),
            };
            let exporter = exporter.map_err(failed("traces"))?;
            Some(builder.with_batch_exporter(exporter).build())
        }
    })
}

pub(super) fn meter_provider(
    settings: &OtelSettings,
    resource: &Resource,
) -> Result<Option<SdkMeterProvider>, SetupError> {
    let builder = SdkMeterProvider::builder().with_resource(resource.clone());
    Ok(match settings.metrics {
        Exporter::None => None,
        Exporter::Console => Some(
            builder
                .with_periodic_exporter(opentelemetry_stdout::MetricExporter::default())
                .build(),
        ),
        Exporter::Otlp(protocol) => {
            let exporter = match protocol {
                Protocol::Grpc => MetricExporter::builder().with_tonic().build(),
                http => MetricExporter::builder()
                    .with_http()
                    .with_protocol(http)
                    .build(),
            };
            let exporter = exporter.map_err(failed("metrics"))?;
            Some(builder.with_periodic_exporter(exporter).build())
        }
    })
}

pub(super) fn logger_provider(
    settings: &OtelSettings,
    resource: &Resource,
) -> Result<Option<SdkLoggerProvider>, SetupError> {
    let builder = SdkLoggerProvider::builder().with_resource(resource.clone());
    Ok(match settings.logs {
        Exporter::None => None,
        Exporter::Console => Some(
            builder
                .with_simple_exporter(opentelemetry_stdout::LogExporter::default())
                .build(),
        ),
        Exporter::Otlp(protocol) => {
            let exporter = match protocol {
                Protocol::Grpc => LogExporter::builder().with_tonic().build(),
                http => LogExporter::builder()
                    .with_http()
                    .with_protocol(http)
                    .build(),
            };
            let exporter = exporter.map_err(failed("logs"))?;
            Some(builder.with_batch_exporter(exporter).build())
        }
    })
}

fn failed(signal: &'static str) -> impl FnOnce(ExporterBuildError) -> SetupError {
    move |source| SetupError::Exporter { signal, source }
}

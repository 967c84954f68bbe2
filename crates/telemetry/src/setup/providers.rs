//! The three providers, each with the exporter that the environment asks for; `None` where a signal is switched off.

use std::sync::Arc;

use opentelemetry_otlp::{LogExporter, MetricExporter, Protocol, SpanExporter};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{self, BatchLogProcessor, LogProcessor, SdkLoggerProvider, SimpleLogProcessor};
use opentelemetry_sdk::metrics::{PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{
    self, BatchSpanProcessor, SdkTracerProvider, SimpleSpanProcessor, SpanProcessor,
};

use super::SetupError;
use super::settings::{Exporter, OtelSettings};
use super::transport;
use crate::export::{Delivery, LogDelivery, Logs, MetricDelivery, Notices, Signal, SpanDelivery, Spans};

pub(super) fn tracer(
    settings: &OtelSettings,
    resource: &Resource,
    notices: &Arc<Notices>,
) -> Result<Option<SdkTracerProvider>, SetupError> {
    let failed = transport::failed("traces");
    let delivery = Delivery::new(Signal::Traces, settings.span_batch.queue, notices);
    let provider = match &settings.traces {
        Exporter::None => return Ok(None),
        Exporter::Console => {
            let exporter = SpanDelivery {
                exporter: opentelemetry_stdout::SpanExporter::default(),
                delivery: Arc::clone(&delivery),
            };
            spans(settings, delivery, SimpleSpanProcessor::new(exporter))
        }
        Exporter::Otlp(otlp) => match otlp.protocol {
            Protocol::Grpc => {
                let exporter = transport::grpc(SpanExporter::builder().with_tonic(), otlp)?.build();
                batched_spans(settings, delivery, exporter.map_err(failed)?)
            }
            Protocol::HttpBinary => {
                let builder = SpanExporter::builder().with_http();
                let exporter = transport::written(builder, otlp, |builder| builder.build().map_err(failed))?;
                batched_spans(settings, delivery, exporter)
            }
            _ => {
                let exporter = transport::http(SpanExporter::builder().with_http(), otlp)?.build();
                batched_spans(settings, delivery, exporter.map_err(failed)?)
            }
        },
    };
    Ok(Some(provider.with_resource(resource.clone()).build()))
}

fn batched_spans(
    settings: &OtelSettings,
    delivery: Arc<Delivery>,
    exporter: impl trace::SpanExporter + 'static,
) -> trace::TracerProviderBuilder {
    let batch = settings.span_batch;
    let config = trace::BatchConfigBuilder::default()
        .with_max_queue_size(batch.queue)
        .with_max_export_batch_size(batch.size)
        .with_scheduled_delay(batch.delay)
        .build();
    let exporter = SpanDelivery {
        exporter,
        delivery: Arc::clone(&delivery),
    };
    spans(settings, delivery, BatchSpanProcessor::new(exporter, config))
}

fn spans(
    settings: &OtelSettings,
    delivery: Arc<Delivery>,
    next: impl SpanProcessor + 'static,
) -> trace::TracerProviderBuilder {
    SdkTracerProvider::builder()
        .with_sampler(settings.sampler.clone())
        .with_span_limits(settings.span_limits)
        .with_span_processor(Spans {
            next,
            delivery,
            value_length: settings.span_value_length,
        })
}

pub(super) fn logger(
    settings: &OtelSettings,
    resource: &Resource,
    notices: &Arc<Notices>,
) -> Result<Option<SdkLoggerProvider>, SetupError> {
    let failed = transport::failed("logs");
    let delivery = Delivery::new(Signal::Logs, settings.log_batch.queue, notices);
    let provider = match &settings.logs {
        Exporter::None => return Ok(None),
        Exporter::Console => {
            let exporter = LogDelivery {
                exporter: opentelemetry_stdout::LogExporter::default(),
                delivery: Arc::clone(&delivery),
            };
            records(settings, delivery, SimpleLogProcessor::new(exporter))
        }
        Exporter::Otlp(otlp) => match otlp.protocol {
            Protocol::Grpc => {
                let exporter = transport::grpc(LogExporter::builder().with_tonic(), otlp)?.build();
                batched_records(settings, delivery, exporter.map_err(failed)?)
            }
            Protocol::HttpBinary => {
                let builder = LogExporter::builder().with_http();
                let exporter = transport::written(builder, otlp, |builder| builder.build().map_err(failed))?;
                batched_records(settings, delivery, exporter)
            }
            _ => {
                let exporter = transport::http(LogExporter::builder().with_http(), otlp)?.build();
                batched_records(settings, delivery, exporter.map_err(failed)?)
            }
        },
    };
    Ok(Some(provider.with_resource(resource.clone()).build()))
}

fn batched_records(
    settings: &OtelSettings,
    delivery: Arc<Delivery>,
    exporter: impl logs::LogExporter + 'static,
) -> logs::LoggerProviderBuilder {
    let batch = settings.log_batch;
    let config = logs::BatchConfigBuilder::default()
        .with_max_queue_size(batch.queue)
        .with_max_export_batch_size(batch.size)
        .with_scheduled_delay(batch.delay)
        .build();
    let exporter = LogDelivery {
        exporter,
        delivery: Arc::clone(&delivery),
    };
    let processor = BatchLogProcessor::builder(exporter)
        .with_batch_config(config)
        .build();
    records(settings, delivery, processor)
}

fn records(
    settings: &OtelSettings,
    delivery: Arc<Delivery>,
    next: impl LogProcessor + 'static,
) -> logs::LoggerProviderBuilder {
    SdkLoggerProvider::builder().with_log_processor(Logs {
        next,
        delivery,
        limits: settings.log_limits,
    })
}

pub(super) fn meter(
    settings: &OtelSettings,
    resource: &Resource,
    notices: &Arc<Notices>,
) -> Result<Option<SdkMeterProvider>, SetupError> {
    let delivery = Delivery::new(Signal::Metrics, 0, notices);
    let builder = SdkMeterProvider::builder().with_resource(resource.clone());
    let interval = settings.metric_interval;
    let builder = match &settings.metrics {
        Exporter::None => return Ok(None),
        Exporter::Console => {
            let exporter = opentelemetry_stdout::MetricExporter::default();
            let reader = PeriodicReader::builder(MetricDelivery { exporter, delivery });
            builder.with_reader(reader.with_interval(interval).build())
        }
        Exporter::Otlp(otlp) => {
            let exporter = MetricExporter::builder().with_temporality(settings.temporality);
            let exporter = match otlp.protocol {
                Protocol::Grpc => transport::grpc(exporter.with_tonic(), otlp)?.build(),
                _ => transport::http(exporter.with_http(), otlp)?.build(),
            };
            let exporter = exporter.map_err(transport::failed("metrics"))?;
            let reader = PeriodicReader::builder(MetricDelivery { exporter, delivery });
            builder.with_reader(reader.with_interval(interval).build())
        }
    };
    Ok(Some(builder.build()))
}

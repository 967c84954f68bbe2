//! The provider of each signal, with the exporter that the environment selects; `None` without one.

use std::sync::Arc;
use std::time::Duration;

use opentelemetry_otlp as grpc;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::logs::{
    self, BatchLogProcessor, LogExporter, LogProcessor, SdkLoggerProvider, SimpleLogProcessor,
};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{MeterProviderBuilder, PeriodicReader, SdkMeterProvider};
use opentelemetry_sdk::trace::{
    self, BatchSpanProcessor, SdkTracerProvider, SimpleSpanProcessor, SpanExporter, SpanProcessor,
};
use opentelemetry_stdout as console;

use super::environment::{Environment, Exporter};
use super::error::SetupError;
use super::limits::Batch;
use super::otlp::{Otlp, Protocol};
use super::transport;
use crate::export::{
    Accounting, AdmittedRecords, Counted, EncodedRecords, EncodedSpans, Encoding, ExportQueue, ExportReport,
    ExportRuntime, HttpExporter, MaskedSpans, Signal,
};

/// What one signal is passed to, built by the function for the exporter that the environment selects.
fn destination<D>(
    exporter: &Exporter,
    to_console: impl FnOnce() -> D,
    over_grpc: impl FnOnce(&Otlp, ExportRuntime) -> Result<D, SetupError>,
    over_http: impl FnOnce(HttpExporter, ExportRuntime) -> Result<D, SetupError>,
) -> Result<Option<D>, SetupError> {
    let otlp = match exporter {
        Exporter::None => return Ok(None),
        Exporter::Console => return Ok(Some(to_console())),
        Exporter::Otlp(otlp) => otlp,
    };
    let runtime = ExportRuntime::new().map_err(|error| SetupError::Client(error.to_string()))?;
    match otlp.protocol {
        Protocol::Grpc => over_grpc(otlp, runtime).map(Some),
        Protocol::Http(encoding) => over_http(transport::http(otlp, encoding)?, runtime).map(Some),
    }
}

pub(super) fn tracer(
    environment: &Environment,
    resource: &Resource,
    report: &Arc<ExportReport>,
) -> Result<Option<SdkTracerProvider>, SetupError> {
    let batch = environment.span_batch;
    let accounting = Accounting::new(Signal::Traces, batch.queue, report);
    let next = destination(
        &environment.traces,
        || -> Box<dyn SpanProcessor> {
            let exporter = Counted::new(console::SpanExporter::default(), &accounting, None);
            Box::new(SimpleSpanProcessor::new(exporter))
        },
        |otlp, runtime| {
            let builder = grpc::SpanExporter::builder().with_tonic();
            let exporter = runtime.within(|| transport::grpc(builder, otlp).build());
            let exporter = exporter.map_err(SetupError::exporter("traces"))?;
            Ok(batched_spans(
                batch,
                Counted::new(exporter, &accounting, Some(runtime)),
            ))
        },
        |http, runtime| {
            let http = HttpExporter {
                resource: resource.clone(),
                ..http
            };
            Ok(match http.encoding {
                Encoding::Protobuf => Box::new(EncodedSpans(queue(batch, http, &accounting, runtime)?)),
                Encoding::Json => batched_spans(batch, Counted::new(http, &accounting, Some(runtime))),
            })
        },
    )?;
    let provider = SdkTracerProvider::builder()
        .with_resource(resource.clone())
        .with_sampler(environment.sampler.clone())
        .with_span_limits(environment.span_limits);
    Ok(next.map(|next| {
        let value_length = environment.span_value_length;
        let spans = MaskedSpans {
            next,
            accounting,
            value_length,
        };
        provider.with_span_processor(spans).build()
    }))
}

fn batched_spans(batch: Batch, exporter: impl SpanExporter + 'static) -> Box<dyn SpanProcessor> {
    let config = trace::BatchConfigBuilder::default()
        .with_max_queue_size(batch.queue)
        .with_max_export_batch_size(batch.size)
        .with_scheduled_delay(batch.delay);
    Box::new(BatchSpanProcessor::new(exporter, config.build()))
}

fn queue(
    batch: Batch,
    exporter: HttpExporter,
    accounting: &Arc<Accounting>,
    runtime: ExportRuntime,
) -> Result<ExportQueue, SetupError> {
    let started = ExportQueue::start(batch.size, batch.delay, exporter, accounting, runtime);
    started.map_err(|error| SetupError::Client(error.to_string()))
}

pub(super) fn logger(
    environment: &Environment,
    resource: &Resource,
    report: &Arc<ExportReport>,
) -> Result<Option<SdkLoggerProvider>, SetupError> {
    let batch = environment.log_batch;
    let accounting = Accounting::new(Signal::Logs, batch.queue, report);
    let next = destination(
        &environment.logs,
        || -> Box<dyn LogProcessor> {
            let exporter = Counted::new(console::LogExporter::default(), &accounting, None);
            Box::new(SimpleLogProcessor::new(exporter))
        },
        |otlp, runtime| {
            let builder = grpc::LogExporter::builder().with_tonic();
            let exporter = runtime.within(|| transport::grpc(builder, otlp).build());
            let exporter = exporter.map_err(SetupError::exporter("logs"))?;
            Ok(batched_records(
                batch,
                Counted::new(exporter, &accounting, Some(runtime)),
            ))
        },
        |http, runtime| {
            let http = HttpExporter {
                resource: resource.clone(),
                ..http
            };
            Ok(match http.encoding {
                Encoding::Protobuf => Box::new(EncodedRecords(queue(batch, http, &accounting, runtime)?)),
                Encoding::Json => batched_records(batch, Counted::new(http, &accounting, Some(runtime))),
            })
        },
    )?;
    let provider = SdkLoggerProvider::builder().with_resource(resource.clone());
    Ok(next.map(|next| {
        let records = AdmittedRecords { next, accounting };
        provider.with_log_processor(records).build()
    }))
}

fn batched_records(batch: Batch, exporter: impl LogExporter + 'static) -> Box<dyn LogProcessor> {
    let config = logs::BatchConfigBuilder::default()
        .with_max_queue_size(batch.queue)
        .with_max_export_batch_size(batch.size)
        .with_scheduled_delay(batch.delay);
    let processor = BatchLogProcessor::builder(exporter);
    Box::new(processor.with_batch_config(config.build()).build())
}

pub(super) fn meter(
    environment: &Environment,
    resource: &Resource,
    report: &Arc<ExportReport>,
) -> Result<Option<SdkMeterProvider>, SetupError> {
    let accounting = Accounting::new(Signal::Metrics, 0, report);
    let interval = environment.metric_interval;
    let temporality = environment.temporality;
    let provider = destination(
        &environment.metrics,
        || {
            let exporter = console::MetricExporter::default();
            periodic(interval, Counted::new(exporter, &accounting, None))
        },
        |otlp, runtime| {
            let builder = grpc::MetricExporter::builder().with_temporality(temporality);
            let exporter = runtime.within(|| transport::grpc(builder.with_tonic(), otlp).build());
            let exporter = exporter.map_err(SetupError::exporter("metrics"))?;
            Ok(periodic(
                interval,
                Counted::new(exporter, &accounting, Some(runtime)),
            ))
        },
        |http, runtime| {
            let exporter = HttpExporter { temporality, ..http };
            Ok(periodic(
                interval,
                Counted::new(exporter, &accounting, Some(runtime)),
            ))
        },
    )?;
    Ok(provider.map(|provider| provider.with_resource(resource.clone()).build()))
}

fn periodic(interval: Duration, exporter: impl PushMetricExporter) -> MeterProviderBuilder {
    let reader = PeriodicReader::builder(exporter).with_interval(interval);
    SdkMeterProvider::builder().with_reader(reader.build())
}

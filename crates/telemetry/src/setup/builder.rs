//! What a program sets about its telemetry. All that an operator sets is in variables, or a file.

use std::fmt;

use mask::Pattern;
use opentelemetry::KeyValue;
use opentelemetry_sdk::logs::{LogExporter, LogProcessor};
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{Instrument, Stream};
use opentelemetry_sdk::trace::{SpanExporter, SpanProcessor};
use settings::Env;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::{Layer, Registry};

use super::additions::Additions;
use super::queued;
use super::resource::Service;
use super::subscriber::{BoxedLayer, Lines};
use crate::export::{Accounting, AdmittedRecords, Counted, MaskedProcessor, Signal};
use crate::names;

/// Sets telemetry up; [`builder`] makes one, and [`Builder::init`] or [`Builder::layers`] ends it.
///
/// ```no_run
/// # async fn run() -> Result<(), Box<dyn std::error::Error>> {
/// use std::fs::File;
/// use throughline_telemetry::mask::IBAN;
/// use throughline_telemetry::opentelemetry::KeyValue;
/// # mod shop { pub fn tenant() -> String { "north".to_owned() } }
///
/// let telemetry = throughline_telemetry::builder(format!("shop-{}", shop::tenant()), "1.0.0")
///     .attribute(KeyValue::new("shop.tenant", shop::tenant()))
///     .mask(&[IBAN])
///     .lines_to(File::create("shop.log")?)
///     .init()?;
/// # Ok(())
/// # }
/// ```
#[must_use]
pub struct Builder {
    pub(super) service: Service,
    pub(super) patterns: Vec<Pattern>,
    /// `None` for those of the process.
    pub(super) variables: Option<Env>,
    pub(super) panic_hook: bool,
    pub(super) process_metrics: bool,
    pub(super) lines: Lines,
    pub(super) layers: Vec<BoxedLayer<Registry>>,
    pub(super) additions: Additions,
}

/// Telemetry of the service with this name (`service.name`) and version (`service.version`).
/// `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES`, or `resource` of a configuration file, override both.
pub fn builder(name: impl Into<String>, version: impl Into<String>) -> Builder {
    Builder {
        service: Service {
            name: name.into(),
            version: version.into(),
            attributes: Vec::new(),
        },
        patterns: Vec::new(),
        variables: None,
        panic_hook: true,
        process_metrics: false,
        lines: Lines::Stdout,
        layers: Vec::new(),
        additions: Additions::default(),
    }
}

impl Builder {
    /// The product that the service is part of (`service.namespace`).
    pub fn namespace(self, namespace: impl Into<String>) -> Self {
        self.attribute(KeyValue::new(names::SERVICE_NAMESPACE, namespace.into()))
    }

    /// An attribute of the resource, on every span, metric and log record of the process.
    /// `OTEL_RESOURCE_ATTRIBUTES`, or `resource` of a configuration file, overrides it.
    pub fn attribute(mut self, attribute: KeyValue) -> Self {
        self.service.attributes.push(attribute);
        self
    }

    /// Masks these patterns too, in the whole process: optional ones, such as [`mask::IBAN`], and the
    /// program's own.
    pub fn mask(mut self, patterns: &[Pattern]) -> Self {
        self.patterns.extend_from_slice(patterns);
        self
    }

    /// Leaves the panic hook as it is: panics are lines on stderr, not masked, and no log records.
    pub fn without_panic_hook(mut self) -> Self {
        self.panic_hook = false;
        self
    }

    /// Reads these variables in place of those of the process.
    pub fn variables<N, V>(mut self, variables: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<String>,
        V: Into<String>,
    {
        self.variables = Some(variables.into_iter().collect());
        self
    }

    /// Adds `process.cpu.time`, `process.memory.usage`, `process.thread.count` and
    /// `process.open_file_descriptor.count`, on Linux, and `tokio.workers`, `tokio.tasks` and
    /// `tokio.queue.depth`: of the runtime that calls [`Builder::init`], and of the threads of an actix-web
    /// server with `Tracing`, each of which has a runtime. They are read at each export.
    pub fn process_metrics(mut self) -> Self {
        self.process_metrics = true;
        self
    }

    /// Writes lines to `writer` in place of stdout: a file, or a function that returns a writer.
    pub fn lines_to(mut self, writer: impl for<'w> MakeWriter<'w> + Send + Sync + 'static) -> Self {
        self.lines = Lines::To(BoxMakeWriter::new(writer));
        self
    }

    /// Writes no lines.
    pub fn without_lines(mut self) -> Self {
        self.lines = Lines::None;
        self
    }

    /// Another layer of the `tracing` subscriber, which gets the spans and events that the layer itself does
    /// not filter.
    pub fn layer(mut self, layer: impl Layer<Registry> + Send + Sync) -> Self {
        self.layers.push(layer.boxed());
        self
    }

    /// Another processor of spans. What it gets is masked; a span that waits in it is not counted.
    pub fn span_processor(mut self, processor: impl SpanProcessor + 'static) -> Self {
        self.additions.spans.push(Box::new(|provider, its| {
            let masked = MaskedProcessor::new(processor).value_length(its.value_length);
            provider.with_span_processor(masked)
        }));
        self
    }

    /// Another exporter of spans, behind a queue of `OTEL_BSP_*` or of a configuration file's first
    /// processor. What it gets is masked, and what does not fit into the queue or fails is counted.
    pub fn span_exporter(mut self, exporter: impl SpanExporter + 'static) -> Self {
        self.additions.spans.push(Box::new(|provider, its| {
            let accounting = Accounting::new(Signal::Traces, its.batch.queue, its.report);
            let next = queued::spans(its.batch, Counted::new(exporter, &accounting, None));
            provider.with_span_processor(MaskedProcessor::counted(next, its.value_length, accounting))
        }));
        self
    }

    /// Another processor of log records. Those of `tracing` and `log` are masked.
    pub fn log_processor(mut self, processor: impl LogProcessor + 'static) -> Self {
        self.additions
            .records
            .push(Box::new(|provider, _| provider.with_log_processor(processor)));
        self
    }

    /// Another exporter of log records, behind a queue of `OTEL_BLRP_*` or of a configuration file's first
    /// processor; as [`Builder::span_exporter`].
    pub fn log_exporter(mut self, exporter: impl LogExporter + 'static) -> Self {
        self.additions.records.push(Box::new(|provider, its| {
            let accounting = Accounting::new(Signal::Logs, its.batch.queue, its.report);
            let next = Box::new(queued::records(
                its.batch,
                Counted::new(exporter, &accounting, None),
            ));
            provider.with_log_processor(AdmittedRecords { next, accounting })
        }));
        self
    }

    /// Another exporter of metrics, every `OTEL_METRIC_EXPORT_INTERVAL`, or as a configuration file's first
    /// reader.
    pub fn metric_exporter(mut self, exporter: impl PushMetricExporter) -> Self {
        self.additions.metrics.push(Box::new(|provider, interval| {
            queued::periodic(provider, interval, exporter)
        }));
        self
    }

    /// A view: other buckets, attributes or names for an instrument, or none.
    pub fn view(mut self, view: impl Fn(&Instrument) -> Option<Stream> + Send + Sync + 'static) -> Self {
        self.additions
            .views
            .push(Box::new(|provider, ()| provider.with_view(view)));
        self
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

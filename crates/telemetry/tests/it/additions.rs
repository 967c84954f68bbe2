//! What a program adds to telemetry: each in a process of its own, since providers are global.

use std::process::{Command, Output};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use opentelemetry::{Context, InstrumentationScope, KeyValue};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::logs::{LogBatch, LogExporter, LogProcessor, SdkLogRecord};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{Instrument, Stream, Temporality};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};
use throughline_telemetry::mask::Pattern;
use throughline_telemetry::{builder, capture, metrics};
use tokio::runtime::Runtime;
use tracing::Event;
use tracing_subscriber::layer::{Context as LayerContext, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

const MEMBER: Pattern = Pattern {
    replacement: "[member]",
    find: |text| text.find("M-17").map(|start| start..start + 4),
};

#[test]
fn a_program_adds_layers_processors_exporters_views_attributes_patterns_and_lines() {
    succeeds("additions::all_additions");
}

#[test]
fn a_program_can_have_its_own_subscriber() {
    succeeds("additions::own_subscriber");
}

#[test]
fn tests_that_run_at_the_same_time_capture_their_own_telemetry() {
    succeeds("additions::two_captures");
}

fn succeeds(program: &str) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", program, "--ignored", "--nocapture"])
        .env_clear();
    for signal in ["TRACES", "METRICS", "LOGS"] {
        command.env(format!("OTEL_{signal}_EXPORTER"), "none");
    }
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let output = String::from_utf8([stdout, stderr].concat()).unwrap();
    assert!(status.success() && output.contains("1 passed"), "{output}");
}

/// Remembers what it gets, as text.
#[derive(Debug, Clone, Default)]
struct Seen(Arc<Mutex<Vec<String>>>);

impl Seen {
    fn add(&self, text: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text);
    }

    /// The only text.
    fn only(&self) -> String {
        let texts = self.0.lock().unwrap();
        assert_eq!(texts.len(), 1, "{texts:?}");
        texts[0].clone()
    }
}

impl SpanProcessor for Seen {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        self.add(format!("{span:?}"));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

impl SpanExporter for Seen {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        batch.iter().for_each(|span| self.add(format!("{span:?}")));
        Ok(())
    }
}

impl LogProcessor for Seen {
    fn emit(&self, record: &mut SdkLogRecord, _: &InstrumentationScope) {
        self.add(format!("{record:?}"));
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }
}

impl LogExporter for Seen {
    async fn export(&self, batch: LogBatch<'_>) -> OTelSdkResult {
        batch.iter().for_each(|record| self.add(format!("{record:?}")));
        Ok(())
    }
}

impl PushMetricExporter for Seen {
    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        self.add(format!("{metrics:?}"));
        Ok(())
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}

impl<S: tracing::Subscriber> Layer<S> for Seen {
    fn on_event(&self, event: &Event<'_>, _: LayerContext<'_, S>) {
        if event.metadata().target().starts_with("it::") {
            self.add(format!("{event:?}"));
        }
    }
}

fn work() {
    tracing::info_span!("work", mail = "joe@example.com").in_scope(|| tracing::warn!("M-17 works"));
    metrics::counter("it.added", "{parcel}", "Parcels.").add(3, &[]);
}

#[test]
#[ignore = "another test runs it, in a process of its own"]
fn all_additions() {
    let runtime = Runtime::new().unwrap();
    let _entered = runtime.enter();
    let seen: [Seen; 6] = Default::default();
    let [
        layer,
        processor,
        exporter,
        log_processor,
        log_exporter,
        metric_exporter,
    ] = seen.clone();
    let file = std::env::temp_dir().join(format!("throughline-lines-{}", std::process::id()));
    let view = |instrument: &Instrument| {
        let is_added = instrument.name() == "it.added";
        is_added.then(|| Stream::builder().with_name("it.viewed").build().unwrap())
    };
    let telemetry = builder(String::from("added"), "1")
        .attribute(KeyValue::new("team", "north"))
        .mask(&[MEMBER])
        .layer(layer)
        .span_processor(processor)
        .span_exporter(exporter)
        .log_processor(log_processor)
        .log_exporter(log_exporter)
        .metric_exporter(metric_exporter)
        .view(view)
        .lines_to(std::fs::File::create(&file).unwrap())
        .without_panic_hook()
        .init()
        .unwrap();
    work();
    runtime
        .block_on(telemetry.force_flush(Duration::from_secs(10)))
        .unwrap();
    let [layer, spans @ .., metrics] = &seen;
    assert!(layer.only().contains("M-17"));
    let [processed, exported, records @ ..] = spans;
    for span in [processed, exported].map(Seen::only) {
        assert!(span.contains("[email]") && !span.contains("joe@"), "{span}");
    }
    for record in records.iter().map(Seen::only) {
        assert!(record.contains("[member] works"), "{record}");
    }
    let metrics = metrics.only();
    for text in ["it.viewed", "north", "\"added\""] {
        assert!(metrics.contains(text), "{text}: {metrics}");
    }
    let lines = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(
        lines.contains("[member] works") && lines.contains("trace_id"),
        "{lines}"
    );
    assert!(telemetry.tracer_provider().is_some() && telemetry.logger_provider().is_some());
}

#[test]
#[ignore = "another test runs it, in a process of its own"]
fn own_subscriber() {
    let runtime = Runtime::new().unwrap();
    let _entered = runtime.enter();
    let [own, spans, records]: [Seen; 3] = Default::default();
    let (_telemetry, layers) = builder("own", "1")
        .span_processor(spans.clone())
        .log_processor(records.clone())
        .without_panic_hook()
        .layers()
        .unwrap();
    tracing_subscriber::registry()
        .with(layers)
        .with(own.clone())
        .init();
    work();
    assert!(own.only().contains("M-17"));
    assert!(spans.only().contains("[email]"));
    assert!(records.only().contains("M-17 works"));
}

#[test]
#[ignore = "another test runs it, in a process of its own"]
fn two_captures() {
    let runtime = Runtime::new().unwrap();
    let [first, second] = [capture::start(), capture::start()];
    runtime.block_on(async {
        tokio::join!(
            first.run(async { work() }),
            second.run(async { tracing::info!("second") })
        );
    });
    assert_eq!(first.spans().len(), 1);
    assert!(format!("{:?}", first.spans()).contains("[email]"));
    assert_eq!(first.log_records().len(), 1);
    assert!(second.spans().is_empty());
    assert_eq!(second.log_records().len(), 1);
    assert_eq!(first.points("it.added")[0].value, 3.0);
    let third = capture::start();
    assert!(third.points("it.added").is_empty());
    work();
    let points = third.points("it.added");
    assert_eq!(points[0].value, 3.0);
    assert!(third.spans().is_empty(), "not of this trace");
    let parent = third.trace_context()["traceparent"].clone();
    assert!(parent.starts_with("00-") && parent.ends_with("-01"), "{parent}");
}

//! One receiver and one setup for the process, since OpenTelemetry's providers are global. Tests find their
//! own by trace id.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use lens::{Lens, LensConfig, LogRecord, Metric, Point, Span, Trace, TraceId};
use throughline_telemetry::{Telemetry, builder};

/// The timeout for telemetry to arrive.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The receiver, with telemetry set up to export to it.
pub(crate) fn lens() -> &'static Lens {
    static RUNNING: LazyLock<(Lens, Telemetry)> = LazyLock::new(|| {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let starting = std::thread::spawn(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let lens = start_lens(0, 0).await;
                let endpoint = lens.otlp_http_url();
                let variables = [
                    ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
                    ("OTEL_BSP_SCHEDULE_DELAY", "20"),
                    ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
                    ("OTEL_METRIC_EXPORT_INTERVAL", "50"),
                    ("ENVIRONMENT", "test"),
                ];
                let telemetry = builder("it", "1").variables(variables).process_metrics();
                let telemetry = telemetry.without_panic_hook();
                let telemetry = telemetry.init().unwrap();
                (lens, telemetry)
            })
        });
        starting.join().unwrap()
    });
    &RUNNING.0
}

/// Starts a receiver on these ports; 0 is any free one.
pub(crate) async fn start_lens(grpc: u16, http: u16) -> Lens {
    let config = LensConfig {
        http_port: 0,
        otlp_grpc_port: grpc,
        otlp_http_port: http,
        max_bytes: 16 << 20,
        ..LensConfig::default()
    };
    Lens::start(config).await.unwrap()
}

/// A new trace id of a caller, and its `traceparent`.
pub(crate) struct Caller {
    pub(crate) trace_id: TraceId,
    pub(crate) traceparent: String,
}

pub(crate) const CALLER_SPAN: &str = "b7ad6b7169203331";

pub(crate) fn caller() -> Caller {
    let id = uuid::Uuid::new_v4().simple().to_string();
    Caller {
        traceparent: format!("00-{id}-{CALLER_SPAN}-01"),
        trace_id: id.parse().unwrap(),
    }
}

/// The headers of a caller in a trace, with `tracestate` and baggage.
pub(crate) fn caller_with_baggage() -> HashMap<String, String> {
    [
        ("traceparent", caller().traceparent.as_str()),
        ("tracestate", "vendor=7"),
        ("baggage", "customer=joe"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into()
}

/// Polls until `find` returns something.
pub(crate) async fn eventually<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The trace once it has `spans` spans.
pub(crate) async fn trace(id: TraceId, spans: usize) -> Trace {
    let store = lens().store();
    eventually(&format!("trace {id} of {spans} spans"), || {
        store.trace(&id).filter(|trace| trace.spans.len() >= spans)
    })
    .await
}

/// The only span of the trace.
pub(crate) async fn only_span(id: TraceId) -> Span {
    let trace = trace(id, 1).await;
    assert_eq!(trace.spans.len(), 1, "{:#?}", trace.spans);
    trace.spans.into_iter().next().unwrap()
}

/// The first span of the trace that `is_it` accepts.
pub(crate) async fn span_of(id: TraceId, name: &str) -> Span {
    let store = lens().store();
    eventually(&format!("span {name}"), || {
        let trace = store.trace(&id)?;
        trace.spans.into_iter().find(|span| span.name == name)
    })
    .await
}

/// The log records of the trace once there are `count`.
pub(crate) async fn logs(id: TraceId, count: usize) -> Vec<LogRecord> {
    let store = lens().store();
    eventually("log records", || {
        Some(store.logs_of(&id)).filter(|logs| logs.len() >= count)
    })
    .await
}

/// The point of a metric that has all these attributes.
pub(crate) async fn point(name: &str, attributes: &[(&str, &str)]) -> (Metric, Point) {
    let store = lens().store();
    eventually(&format!("{name} with {attributes:?}"), || {
        let metric = store.metrics().into_iter().find(|it| it.name == name)?;
        let matches = |point: &&Point| {
            attributes
                .iter()
                .all(|(key, value)| text(&point.attributes, key).as_deref() == Some(*value))
        };
        let point = metric.points.iter().find(matches).cloned()?;
        Some((metric, point))
    })
    .await
}

/// An attribute as text.
pub(crate) fn text(attributes: &lens::Attributes, key: &str) -> Option<String> {
    attributes.get(key).map(ToString::to_string)
}

/// An attribute of a span as text.
pub(crate) fn attribute(span: &Span, key: &str) -> Option<String> {
    text(&span.attributes, key)
}

/// The sorted names of all attributes. Fails if one appears twice.
pub(crate) fn keys(attributes: &lens::Attributes) -> Vec<String> {
    let mut keys: Vec<String> = attributes.iter().map(|(key, _)| key.to_owned()).collect();
    keys.sort();
    let count = keys.len();
    keys.dedup();
    assert_eq!(keys.len(), count, "an attribute appears twice: {keys:?}");
    keys
}

pub(crate) fn is_child_of_caller(span: &Span) -> bool {
    span.parent_span_id
        .is_some_and(|id| id.to_string() == CALLER_SPAN)
}

pub(crate) fn is_child(child: &Span, parent: &Span) -> bool {
    child.parent_span_id == Some(parent.span_id)
}

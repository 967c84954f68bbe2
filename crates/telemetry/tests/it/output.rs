//! The program's stdout.

use crate::probe::{Task, finish, run, start};
use crate::support::{eventually, start_lens};

#[tokio::test]
async fn lines_are_json_with_the_trace_outside_development() {
    let lines = run(
        Task::Once,
        &[
            ("ENVIRONMENT", "production"),
            ("OTEL_TRACES_EXPORTER", "otlp"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
            // There is no listener.
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9"),
        ],
    )
    .await;
    let trace = lines.iter().find_map(|line| line.strip_prefix("trace: Some(\""));
    let line = lines
        .iter()
        .find(|line| line.contains("failed") && line.starts_with('{'));
    let line: serde_json::Value = serde_json::from_str(line.unwrap()).unwrap();
    assert_eq!(line["severity"], "ERROR");
    assert_eq!(line["message"], "mail to [email] failed");
    assert_eq!(line["password"], "[secret]");
    assert_eq!(line["parcel.id"], 7);
    assert_eq!(line["exception.message"], "invalid digit found in string");
    assert_eq!(line["trace_id"], trace.unwrap().trim_end_matches("\")"));
    assert_eq!(line["span_id"].as_str().unwrap().len(), 16);
    let timestamp = line["timestamp"].as_str().unwrap();
    assert_eq!(timestamp.len(), "2026-01-31T12:00:00.000000Z".len());
    assert!(timestamp.ends_with('Z') && timestamp.contains('T'), "{timestamp}");
}

#[tokio::test]
async fn lines_are_text_in_development() {
    let lines = run(Task::Once, &[("OTEL_SDK_DISABLED", "true")]).await;
    let line = lines.iter().find(|line| line.contains("failed")).unwrap();
    assert!(line.contains("ERROR it::probe: mail to [email] failed"), "{line}");
    assert!(
        line.contains(" parcel.id=7") && line.contains(" password=[secret]"),
        "{line}"
    );
}

#[tokio::test]
async fn rust_log_filters_lines_and_records_and_not_spans() {
    for (level, records, spans) in [("off", 0, 2), ("debug", 2, 2)] {
        let lens = start_lens(0, 0).await;
        let endpoint = lens.otlp_http_url();
        let env = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("RUST_LOG", level),
        ];
        run(Task::Once, &env).await;
        assert_eq!(lens.store().logs().len(), records, "{level}");
        let traces = lens.store().traces();
        let count: usize = traces.iter().map(|trace| trace.spans.len()).sum();
        assert_eq!(count, spans, "{level}");
    }
}

/// Each export writes hundreds of lines of level TRACE. None of them may become a record, which would be
/// exported in turn.
#[tokio::test]
async fn an_export_causes_no_further_export_at_any_level() {
    for protocol in ["grpc", "http/protobuf"] {
        let lens = start_lens(0, 0).await;
        let endpoint = match protocol {
            "grpc" => lens.otlp_grpc_url(),
            _ => lens.otlp_http_url(),
        };
        let mut child = start(
            Task::Steady,
            &[
                ("RUST_LOG", "trace"),
                ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_BSP_SCHEDULE_DELAY", "20"),
                ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
                ("OTEL_METRIC_EXPORT_INTERVAL", "20"),
            ],
        );
        let output = child.stdout.take().unwrap();
        let drain = std::thread::spawn(move || std::io::read_to_string(output).unwrap());
        eventually("records", || Some(()).filter(|()| lens.store().logs().len() > 50)).await;
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
        drain.join().unwrap();
        let logs = lens.store().logs();
        let mut others = logs.iter().filter(|log| log.body.to_string() != "tick");
        assert!(others.next().is_none(), "{protocol}: {:?}", others.next());
    }
}

#[tokio::test]
async fn the_console_exporter_writes_masked_records() {
    let lines = run(
        Task::Once,
        &[
            ("OTEL_TRACES_EXPORTER", "console"),
            ("OTEL_LOGS_EXPORTER", "console"),
            ("OTEL_METRICS_EXPORTER", "console"),
        ],
    )
    .await
    .join("\n");
    assert!(lines.contains("by hand") && lines.contains("probe.runs"));
    assert!(!lines.contains("joe@example.com") && !lines.contains("4111 1111"));
}

#[tokio::test]
async fn an_interrupted_program_exports_its_queue() {
    let lens = start_lens(0, 0).await;
    let endpoint = lens.otlp_http_url();
    let env = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
    let mut child = start(Task::Steady, &env);
    crate::probe::wait_for(&mut child, "tick");
    finish(child);
    assert!(!lens.store().traces().is_empty());
}

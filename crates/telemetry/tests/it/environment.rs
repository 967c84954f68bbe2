//! The effect of each variable on a whole program.

use lens::{Lens, LogRecord, Span};

use crate::probe::{Task, output, run};
use crate::support::{start_lens, text};

/// The URL for OTLP over HTTP.
fn http(lens: &Lens) -> String {
    lens.otlp_http_url()
}

async fn own_lens() -> Lens {
    start_lens(0, 0).await
}

fn spans(lens: &Lens) -> Vec<Span> {
    let traces = lens.store().traces();
    traces.into_iter().flat_map(|trace| trace.spans).collect()
}

fn error_record(lens: &Lens) -> LogRecord {
    let logs = lens.store().logs();
    logs.into_iter().find(|log| log.severity_text == "ERROR").unwrap()
}

#[tokio::test]
async fn every_protocol_and_compression_arrives() {
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        for compression in ["none", "gzip"] {
            let lens = own_lens().await;
            let endpoint = match protocol {
                "grpc" => lens.otlp_grpc_url(),
                _ => lens.otlp_http_url(),
            };
            run(
                Task::Once,
                &[
                    ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                    ("OTEL_EXPORTER_OTLP_COMPRESSION", compression),
                ],
            )
            .await;
            let mut names: Vec<_> = spans(&lens).into_iter().map(|span| span.name).collect();
            names.sort();
            assert_eq!(names, ["by hand", "work"], "{protocol} {compression}");
            assert_eq!(lens.store().logs().len(), 1, "{protocol} {compression}");
            let metrics = lens.store().metrics();
            assert!(metrics.iter().any(|metric| metric.name == "probe.runs"));
        }
    }
}

#[tokio::test]
async fn the_resource_describes_the_process() {
    let lens = own_lens().await;
    run(
        Task::Once,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", http(&lens).as_str()),
            ("OTEL_RESOURCE_ATTRIBUTES", "cloud.region=eu-west-1"),
            ("ENVIRONMENT", "staging"),
        ],
    )
    .await;
    let span = spans(&lens).remove(0);
    for (name, value) in [
        ("service.name", "probe"),
        ("service.version", "1.0.0"),
        ("deployment.environment.name", "staging"),
        ("cloud.region", "eu-west-1"),
        ("telemetry.sdk.language", "rust"),
    ] {
        assert_eq!(text(&span.resource, name).as_deref(), Some(value), "{name}");
    }
    for name in [
        "service.instance.id",
        "host.name",
        "os.type",
        "process.pid",
        "process.runtime.name",
        "process.runtime.version",
        "telemetry.sdk.name",
        "telemetry.sdk.version",
    ] {
        assert!(text(&span.resource, name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn personal_data_does_not_leave_the_process() {
    let lens = own_lens().await;
    let endpoint = http(&lens);
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("ENVIRONMENT", "production"),
    ];
    let lines = run(Task::Once, &env).await.join("\n");
    let record = error_record(&lens);
    assert_eq!(record.body.to_string(), "mail to [email] failed");
    assert_eq!(text(&record.attributes, "it.password").unwrap(), "[secret]");
    let all = format!("{:?} {:?} {lines}", spans(&lens), lens.store().logs());
    for secret in ["joe@example.com", "4111 1111", "hunter2"] {
        assert!(!all.contains(secret), "{secret} in {all}");
    }
}

#[tokio::test]
async fn an_error_is_a_log_record_of_its_span_with_type_and_message() {
    let lens = own_lens().await;
    run(
        Task::Once,
        &[("OTEL_EXPORTER_OTLP_ENDPOINT", http(&lens).as_str())],
    )
    .await;
    let record = error_record(&lens);
    let attribute = |name| text(&record.attributes, name).unwrap();
    assert_eq!(attribute("exception.type"), "core::num::error::ParseIntError");
    assert_eq!(attribute("exception.message"), "invalid digit found in string");
    assert_eq!(attribute("parcel.id"), "7");
    let work = spans(&lens).into_iter().find(|span| span.name == "work").unwrap();
    assert_eq!(record.trace_id, Some(work.trace_id));
    assert_eq!(record.span_id, Some(work.span_id));
    assert!(work.events.is_empty());
}

#[tokio::test]
async fn an_error_of_the_log_crate_is_a_record_with_its_target_type_and_message() {
    let lens = own_lens().await;
    let endpoint = http(&lens);
    let env = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
        ("ENVIRONMENT", "production"),
    ];
    let lines = run(Task::LogCrate, &env).await;
    let record = error_record(&lens);
    assert_eq!(lens.store().logs().len(), 1);
    assert_eq!(record.body.to_string(), "no mail for [email]");
    assert_eq!(record.scope.name, "library::part");
    assert_eq!(record.event_name, "");
    let keys = crate::support::keys(&record.attributes);
    assert_eq!(keys, ["exception.message", "exception.type"]);
    assert_eq!(
        text(&record.attributes, "exception.type").unwrap(),
        "library::part"
    );
    assert_eq!(record.span_id, Some(spans(&lens).remove(0).span_id));

    let line = lines.iter().find(|line| line.contains("no mail")).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["target"], "library::part");
    assert_eq!(line["severity"], "ERROR");
    let names: Vec<_> = line.as_object().unwrap().keys().collect();
    assert!(!names.iter().any(|name| name.starts_with("log.")), "{names:?}");
}

#[tokio::test]
async fn a_panic_is_a_masked_log_record_of_its_span() {
    for level in ["info", "off"] {
        let lens = own_lens().await;
        let endpoint = http(&lens);
        let written = tokio::task::spawn_blocking(move || {
            let env = [
                ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
                ("RUST_LOG", level),
            ];
            output(Task::Panic, &env)
        });
        let written = written.await.unwrap();
        assert!(written.contains("no mail for [email]"), "{written}");
        assert!(!written.contains("joe@example.com"), "{written}");
        if level == "off" {
            assert!(lens.store().logs().is_empty());
            continue;
        }
        let record = error_record(&lens);
        let attribute = |name| text(&record.attributes, name).unwrap();
        assert_eq!(attribute("exception.type"), "panic");
        assert_eq!(attribute("exception.message"), "no mail for [email]");
        assert!(record.body.to_string().contains("tests/it/probe.rs"));
        let work = spans(&lens).remove(0);
        assert_eq!(record.span_id, Some(work.span_id));
    }
}

#[tokio::test]
async fn a_disabled_sdk_exports_nothing_but_propagates_a_callers_trace() {
    let lens = own_lens().await;
    let endpoint = http(&lens);
    let lines = run(
        Task::Once,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_SDK_DISABLED", "true"),
        ],
    )
    .await;
    assert!(spans(&lens).is_empty());
    assert!(lens.store().logs().is_empty() && lens.store().metrics().is_empty());
    let passed = "passed on: Some(\"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\")";
    assert!(lines.iter().any(|line| line == passed), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("mail to [email] failed")));
}

#[tokio::test]
async fn one_signal_can_be_switched_off_alone() {
    let lens = own_lens().await;
    let endpoint = http(&lens);
    run(
        Task::Once,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_TRACES_EXPORTER", "none"),
            ("OTEL_METRICS_EXPORTER", "none"),
        ],
    )
    .await;
    assert!(spans(&lens).is_empty() && lens.store().metrics().is_empty());
    assert_eq!(lens.store().logs().len(), 1);
}

#[tokio::test]
async fn the_sampler_decides_which_traces_are_recorded() {
    for (sampler, argument, expected) in [
        ("always_off", "", 0),
        ("traceidratio", "0", 0),
        ("parentbased_traceidratio", "1", 2),
        ("always_on", "", 2),
    ] {
        let lens = own_lens().await;
        let endpoint = http(&lens);
        run(
            Task::Once,
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
                ("OTEL_TRACES_SAMPLER", sampler),
                ("OTEL_TRACES_SAMPLER_ARG", argument),
            ],
        )
        .await;
        assert_eq!(spans(&lens).len(), expected, "{sampler}");
        // Log records and metrics do not depend on it.
        assert_eq!(lens.store().logs().len(), 1, "{sampler}");
    }
}

#[tokio::test]
async fn limits_cut_attributes() {
    let lens = own_lens().await;
    let endpoint = http(&lens);
    run(
        Task::Once,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
            ("OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "5"),
        ],
    )
    .await;
    let all = spans(&lens);
    let by_hand = all.iter().find(|span| span.name == "by hand").unwrap();
    assert_eq!(text(&by_hand.attributes, "note").unwrap(), "card ");
}

#[tokio::test]
async fn without_propagators_no_trace_is_propagated() {
    let lines = run(
        Task::Once,
        &[("OTEL_SDK_DISABLED", "true"), ("OTEL_PROPAGATORS", "none")],
    )
    .await;
    assert!(lines.iter().any(|line| line == "passed on: None"), "{lines:?}");
}

#[tokio::test]
async fn an_invalid_value_ends_the_setup_with_one_line() {
    for (name, value, line) in [
        (
            "OTEL_EXPORTER_OTLP_ENDPOINT",
            "not a url",
            "refused: OTEL_EXPORTER_OTLP_ENDPOINT: got `not a url`; takes a URL such as http://localhost:4318 or \
             https://otlp.example.com",
        ),
        (
            "OTEL_BSP_MAX_QUEUE_SIZE",
            "many",
            "refused: OTEL_BSP_MAX_QUEUE_SIZE: got `many`; takes a number from 1 to 1000000",
        ),
    ] {
        let lines = run(Task::Once, &[(name, value)]).await;
        assert_eq!(lines, [line]);
    }
}

#[tokio::test]
async fn a_variable_without_effect_is_logged() {
    let env = [
        ("OTEL_SDK_DISABLED", "true"),
        ("OTEL_METRICS_EXEMPLAR_FILTER", "always_on"),
        (
            "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
            "explicit_bucket_histogram",
        ),
    ];
    let lines = run(Task::Once, &env).await;
    let is_logged = |name: &str| lines.iter().any(|line| line.contains(name));
    assert!(
        is_logged("OTEL_METRICS_EXEMPLAR_FILTER has no effect"),
        "{lines:?}"
    );
    // Its value is the actual behaviour.
    assert!(!is_logged("HISTOGRAM_AGGREGATION"), "{lines:?}");
}

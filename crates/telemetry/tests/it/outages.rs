//! A collector that is absent, slow, rejecting or restarted: the program continues and reports its losses.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lens::{Lens, Point, PointValue};

use crate::collectors;
use crate::probe::{Task, finish, run, start, wait_for};
use crate::support::{eventually, start_lens};

/// A port without a listener.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn counted(lens: &Lens, name: &str) -> u64 {
    let metrics = lens.store().metrics();
    let metric = metrics.into_iter().find(|metric| metric.name == name);
    let value = |point: &Point| match point.value {
        PointValue::Int { value } => u64::try_from(value).unwrap(),
        _ => panic!("{point:?}"),
    };
    metric.map_or(0, |metric| metric.points.iter().map(value).sum())
}

fn about_telemetry(lines: &[String]) -> Vec<&String> {
    let is_about = |line: &&String| line.contains("telemetry") || line.contains("xport");
    lines.iter().filter(is_about).collect()
}

#[tokio::test]
async fn an_absent_collector_costs_neither_memory_nor_more_than_a_line_a_minute() {
    let lens = start_lens(0, 0).await;
    let absent = format!("http://127.0.0.1:{}", free_port());
    let metrics = format!("{}/v1/metrics", lens.otlp_http_url());
    for protocol in ["grpc", "http/protobuf"] {
        let lines = run(
            Task::Flood,
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", absent.as_str()),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", metrics.as_str()),
                ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/protobuf"),
                ("OTEL_BSP_SCHEDULE_DELAY", "50"),
                ("OTEL_BLRP_SCHEDULE_DELAY", "50"),
                ("ENVIRONMENT", "production"),
                ("RUST_LOG", "warn"),
            ],
        )
        .await;
        let grown = growth(&lines);
        assert!(grown < 64 << 10, "{protocol}: {grown} KiB");
        let reports = about_telemetry(&lines);
        let outage = reports
            .iter()
            .filter(|line| line.contains("does not reach the collector"));
        assert!(outage.count() <= 1, "{reports:#?}");
        // The other line is from the shutdown.
        assert!(reports.len() <= 2, "{reports:#?}");
    }
}

/// The growth of memory that the program reports, in KiB.
fn growth(lines: &[String]) -> u64 {
    let grown = lines.iter().find_map(|line| line.strip_prefix("grew by "));
    grown.unwrap().trim_end_matches(" KiB").parse().unwrap()
}

/// The 512 queued spans would be 60 MB if they held all that the callers sent.
#[tokio::test]
async fn long_requests_do_not_fill_the_memory_while_the_collector_is_unreachable() {
    let absent = format!("http://127.0.0.1:{}", free_port());
    let lines = run(
        Task::LongRequests,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", absent.as_str()),
            ("OTEL_BSP_SCHEDULE_DELAY", "600000"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "512"),
            ("ENVIRONMENT", "production"),
        ],
    )
    .await;
    let grown = growth(&lines);
    assert!(grown < 16 << 10, "{grown} KiB");
}

#[tokio::test]
async fn lost_records_are_counted() {
    let lens = start_lens(0, 0).await;
    let absent = format!("http://127.0.0.1:{}", free_port());
    let metrics = format!("{}/v1/metrics", lens.otlp_http_url());
    run(
        Task::Flood,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", absent.as_str()),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", metrics.as_str()),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "50"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "512"),
            ("OTEL_BLRP_MAX_QUEUE_SIZE", "512"),
            ("RUST_LOG", "info"),
            ("ENVIRONMENT", "production"),
        ],
    )
    .await;
    assert_eq!(counted(&lens, "telemetry.spans.dropped"), 20_000);
    assert_eq!(counted(&lens, "telemetry.logs.dropped"), 20_000);
}

#[tokio::test]
async fn a_slow_or_rejecting_collector_does_not_block_the_program() {
    let lens = start_lens(0, 0).await;
    let metrics = format!("{}/v1/metrics", lens.otlp_http_url());
    for collector in [collectors::silent(), collectors::rejecting()] {
        let lines = run(
            Task::Flood,
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.as_str()),
                ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", metrics.as_str()),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "100"),
                ("OTEL_BSP_MAX_QUEUE_SIZE", "512"),
                ("OTEL_BLRP_MAX_QUEUE_SIZE", "512"),
                ("ENVIRONMENT", "production"),
            ],
        )
        .await;
        assert_eq!(lines.last().map(String::as_str), Some("ended"));
        let reports = lines
            .iter()
            .filter(|line| line.contains("does not reach the collector"));
        assert_eq!(reports.count(), 1);
    }
}

#[tokio::test]
async fn spans_and_records_end_while_a_request_to_the_collector_is_in_progress() {
    let (collector, requests) = collectors::holding();
    let mut child = start(
        Task::Steady,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.as_str()),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "600000"),
            ("OTEL_BSP_SCHEDULE_DELAY", "20"),
            ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
            ("OTEL_METRICS_EXPORTER", "none"),
        ],
    );
    let ticks = drain(&mut child);
    eventually("a request with spans and one with records", || {
        Some(()).filter(|()| requests.load(Ordering::Relaxed) == 2)
    })
    .await;
    let before = ticks.load(Ordering::Relaxed);
    eventually("ticks", || {
        Some(()).filter(|()| ticks.load(Ordering::Relaxed) > before + 20)
    })
    .await;
    child.kill().unwrap();
    child.wait().unwrap();
}

#[tokio::test]
async fn export_resumes_with_a_restarted_collector() {
    for protocol in ["grpc", "http/protobuf"] {
        let (grpc, http) = (free_port(), free_port());
        let port = match protocol {
            "grpc" => grpc,
            _ => http,
        };
        let first = start_lens(grpc, http).await;
        let endpoint = format!("http://127.0.0.1:{port}");
        let mut child = start(
            Task::Steady,
            &[
                ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()),
                ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol),
                ("OTEL_EXPORTER_OTLP_TIMEOUT", "200"),
                ("OTEL_BSP_SCHEDULE_DELAY", "20"),
                ("OTEL_BLRP_SCHEDULE_DELAY", "20"),
                ("OTEL_METRIC_EXPORT_INTERVAL", "20"),
                ("ENVIRONMENT", "production"),
            ],
        );
        let arrived = |lens: &Lens| Some(()).filter(|()| lens.store().traces().len() > 3);
        eventually("spans before the restart", || arrived(&first)).await;
        first.stop().await;
        wait_for(&mut child, "telemetry does not reach the collector");
        // Long enough for a batch to fail: its timeout is 40 ticks.
        let ticks = drain(&mut child);
        eventually("ticks without a collector", || {
            Some(()).filter(|()| ticks.load(Ordering::Relaxed) > 200)
        })
        .await;
        let second = start_lens(grpc, http).await;
        eventually("spans after the restart", || arrived(&second)).await;
        eventually("the count of dropped spans", || {
            Some(()).filter(|()| counted(&second, "telemetry.spans.dropped") > 0)
        })
        .await;
        drop(child.stdin.take());
        assert!(child.wait().unwrap().success());
    }
}

/// Counts lines, and keeps the pipe from filling up, which would block the program.
fn drain(child: &mut std::process::Child) -> Arc<AtomicU64> {
    use std::io::{BufRead, BufReader};
    let lines = Arc::new(AtomicU64::new(0));
    let (output, counter) = (child.stdout.take().unwrap(), Arc::clone(&lines));
    std::thread::spawn(move || {
        for _ in BufReader::new(output).lines() {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    });
    lines
}

#[tokio::test]
async fn a_program_without_a_collector_still_ends() {
    let lines = finish_steady().await;
    assert_eq!(lines.last().map(String::as_str), Some("ended"));
}

async fn finish_steady() -> Vec<String> {
    let absent = format!("http://127.0.0.1:{}", free_port());
    let mut child = start(
        Task::Steady,
        &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", absent.as_str()),
            ("ENVIRONMENT", "production"),
        ],
    );
    wait_for(&mut child, "tick");
    tokio::task::spawn_blocking(move || finish(child)).await.unwrap()
}

//! A small instrumented program in a separate process with its own environment: this test binary, started
//! again.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use actix_web::dev::Service as _;
use actix_web::test::TestRequest;
use actix_web::{App, HttpResponse, web};
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span, Tracer};
use throughline_telemetry::http::server::Tracing;
use throughline_telemetry::{log_error, metrics, propagation, span};

/// The work of the program between setup and shutdown.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Task {
    /// One span, one log record, one metric.
    Once,
    /// 20,000 spans and as many log records, as fast as it can.
    Flood,
    /// 600 requests with the longest head that actix-web accepts.
    LongRequests,
    /// A panic inside a span, with an e-mail address.
    Panic,
    /// Events of the `log` crate inside a span.
    LogCrate,
    /// A span and a log record every few milliseconds until its input ends.
    Steady,
}

/// Starts the program with only these variables.
pub(crate) fn start(task: Task, env: &[(&str, &str)]) -> Child {
    command(task, env).spawn().unwrap()
}

/// Runs the program to its end. Returns its stdout and stderr.
pub(crate) fn output(task: Task, env: &[(&str, &str)]) -> String {
    let output = command(task, env).stderr(Stdio::piped()).output().unwrap();
    assert!(output.status.success());
    let written = [output.stdout, output.stderr].concat();
    String::from_utf8(written).unwrap()
}

fn command(task: Task, env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "probe::the_program", "--ignored", "--nocapture"])
        .env_clear()
        .env("PROBE", format!("{task:?}"))
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// Runs the program to its end. Returns its lines, without the test harness's.
pub(crate) async fn run(task: Task, env: &[(&str, &str)]) -> Vec<String> {
    let child = start(task, env);
    tokio::task::spawn_blocking(move || finish(child)).await.unwrap()
}

/// Ends the program. Returns its lines.
pub(crate) fn finish(mut child: Child) -> Vec<String> {
    drop(child.stdin.take());
    let mut output = String::new();
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    assert!(child.wait().unwrap().success(), "{output}");
    let harness =
        |line: &&str| line.is_empty() || line.starts_with("running 1 test") || line.starts_with("test ");
    output
        .lines()
        .map(|line| line.trim_start_matches("test probe::the_program ... "))
        .filter(|line| !harness(line) && *line != "ok")
        .map(str::to_owned)
        .collect()
}

/// Waits until the program has written a line that contains `text`.
pub(crate) fn wait_for(child: &mut Child, text: &str) {
    let mut lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(text)), "{text}");
}

#[test]
#[ignore = "other tests run it, in a separate process"]
fn the_program() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let telemetry = match throughline_telemetry::init("probe", "1.0.0") {
            Ok(telemetry) => telemetry,
            Err(error) => return println!("refused: {error}"),
        };
        match std::env::var("PROBE").as_deref() {
            Ok("Flood") => flood(),
            Ok("LogCrate") => log_crate(),
            Ok("Panic") => panics(),
            Ok("LongRequests") => long_requests().await,
            Ok("Steady") => steady().await,
            _ => once(),
        }
        telemetry.shutdown(Duration::from_secs(3)).await;
        println!("ended");
    });
}

fn once() {
    let tracer = opentelemetry::global::tracer("probe");
    let work = tracing::info_span!("work", customer = "joe@example.com");
    work.in_scope(|| {
        let mut inner = tracer.start("by hand");
        inner.set_attribute(KeyValue::new("note", "card 4111 1111 1111 1111"));
        inner.end();
        let error = "x".parse::<i64>().unwrap_err();
        log_error!(
            error,
            parcel.id = 7,
            password = "hunter2",
            "mail to joe@example.com failed"
        );
        tracing::debug!("details");
        println!("trace: {:?}", span::current_trace_id());
    });
    metrics::counter("probe.runs", "{run}", "Runs.").add(1, &[]);
    let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let carrier = [("traceparent".to_owned(), header.to_owned())].into();
    let passed = propagation::inject(&propagation::extract(&carrier));
    println!("passed on: {:?}", passed.get("traceparent"));
}

fn flood() {
    let before = resident_kib();
    let text = "x".repeat(200);
    for number in 0..20_000_i64 {
        tracing::info_span!("drop", number, text).in_scope(|| tracing::info!(text, "drop"));
    }
    println!("grew by {} KiB", resident_kib().saturating_sub(before));
}

fn log_crate() {
    tracing::info_span!("work").in_scope(|| {
        log::error!(target: "library::part", "no mail for joe@example.com");
        log::debug!(target: "library::part", "details");
    });
}

fn panics() {
    let thread = std::thread::spawn(|| {
        tracing::info_span!("work").in_scope(|| panic!("no mail for joe@example.com"));
    });
    assert!(thread.join().is_err());
}

async fn long_requests() {
    let app = App::new()
        .default_service(web::to(HttpResponse::Ok))
        .wrap(Tracing::new());
    let app = actix_web::test::init_service(app).await;
    let long = "x".repeat(30 << 10);
    let before = resident_kib();
    for _ in 0..600 {
        let request = TestRequest::get()
            .uri(&format!("/{long}?{long}"))
            .insert_header(("user-agent", long.as_str()))
            .insert_header((
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ))
            .insert_header(("tracestate", format!("vendor={long}")));
        let response = app.call(request.to_request()).await.unwrap();
        assert!(response.status().is_success());
    }
    println!("grew by {} KiB", resident_kib().saturating_sub(before));
}

/// The resident memory of the process, in KiB.
fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn steady() {
    println!("runs");
    std::io::stdout().flush().unwrap();
    let input = tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0]));
    for number in 0_i64.. {
        tracing::info_span!("tick", number).in_scope(|| tracing::info!(number, "tick"));
        tokio::time::sleep(Duration::from_millis(5)).await;
        if input.is_finished() {
            break;
        }
    }
}

//! The CPU time of all telemetry of one `POST /api/orders`, with the export:
//! `cargo bench -p throughline-telemetry --bench request`; with `-- --test` it only checks that it runs.
//!
//! The request is the api's: a `traceparent` is read, and there are a SERVER span, an INTERNAL one, the
//! context for the row, a statement, a sent job, their metrics, a counter, and a log event, which becomes a
//! record and a JSON line.
//!
//! Each mode is a separate process, with the collector in another; the rate of requests is one that the
//! exporter sustains. The modes take turns, and the minimum of each is shown: other load on the machine only
//! adds. The cost is the difference to the same request without instrumentation.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::convert::Infallible;
use std::hint::black_box;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use actix_web::body::{MessageBody, to_bytes};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::{App, Error, HttpResponse, test, web};
use lens::{Lens, LensConfig};
use opentelemetry::KeyValue;
use opentelemetry::metrics::Counter;
use throughline_telemetry::http::server::Tracing;
use throughline_telemetry::job::Producer;
use throughline_telemetry::{db, init, metrics, propagation, span, statement};

/// The number of requests in a round, and of rounds.
const MEASURED: (u32, usize) = (20_000, 3);
/// The same with `--test`.
const TESTED: (u32, usize) = (400, 1);
/// Requests in a row, whose spans fit into the queue, and the pause after them: at most 4,000 requests a
/// second.
const BURST: u32 = 400;
const BURST_PAUSE: Duration = Duration::from_millis(100);

statement! {
    /// The statement of the request.
    AddOrder: "INSERT" "orders", action "create_order", framework "actix-web";
}

const MODES: [(&str, &[(&str, &str)]); 8] = [
    ("bare", &[("OTEL_SDK_DISABLED", "true")]),
    (
        "disabled, no lines",
        &[("OTEL_SDK_DISABLED", "true"), ("RUST_LOG", "off")],
    ),
    ("disabled", &[("OTEL_SDK_DISABLED", "true")]),
    (
        "not sampled, traces only",
        &[
            ("OTEL_TRACES_SAMPLER", "always_off"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("RUST_LOG", "off"),
        ],
    ),
    ("not sampled", &[("OTEL_TRACES_SAMPLER", "always_off")]),
    (
        "sampled, traces only",
        &[
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "none"),
            ("RUST_LOG", "off"),
        ],
    ),
    ("sampled, http/protobuf", &[]),
    ("sampled, grpc", &[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]),
];

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    match std::env::var("MODE").as_deref() {
        Err(_) => compare(),
        Ok("collector") => collect(),
        Ok(mode) => measure(mode),
    }
}

fn program(mode: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.env_clear().env("MODE", mode);
    command
}

/// Runs all modes and prints their cost above that of the first.
fn compare() {
    let mut collector = program("collector")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(collector.stdout.take().unwrap()).lines();
    let (grpc, http) = (lines.next().unwrap().unwrap(), lines.next().unwrap().unwrap());
    let is_test = std::env::args().any(|argument| argument == "--test");
    let (requests, rounds) = if is_test { TESTED } else { MEASURED };
    let mut minima = [Cost(f64::MAX, f64::MAX); MODES.len()];
    for _ in 0..rounds {
        for ((mode, variables), minimum) in MODES.iter().zip(&mut minima) {
            let is_grpc = variables.contains(&("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"));
            let endpoint = if is_grpc { &grpc } else { &http };
            let mut measured = program(mode);
            measured
                .env("REQUESTS", requests.to_string())
                .env("ENVIRONMENT", "production")
                .env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
                .envs(variables.iter().copied());
            let cost = Cost::of(measured);
            *minimum = Cost(minimum.0.min(cost.0), minimum.1.min(cost.1));
        }
    }
    println!("CPU time of one request, in microseconds, above that of a bare one");
    println!("{:<26}{:>16}{:>16}", "", "its own thread", "whole process");
    let [bare, ..] = minima;
    for ((mode, _), Cost(thread, process)) in MODES.iter().zip(minima) {
        let (thread, process) = (thread - bare.0, process - bare.1);
        println!("{mode:<26}{thread:>16.2}{process:>16.2}");
    }
    drop(collector.stdin.take());
    assert!(collector.wait().unwrap().success());
}

/// The CPU time of one request in microseconds: of its thread, and of the process.
#[derive(Clone, Copy)]
struct Cost(f64, f64);

impl Cost {
    fn of(mut program: Command) -> Self {
        let output = program.stderr(Stdio::inherit()).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let result = text.lines().find_map(|line| line.strip_prefix(RESULT));
        let (thread, process) = result.unwrap().split_once(' ').unwrap();
        Self(thread.parse().unwrap(), process.parse().unwrap())
    }
}

/// Marks the line with the result among the log lines of the measured process.
const RESULT: &str = "microseconds: ";

/// Runs a collector until its input ends, and prints its addresses.
#[tokio::main(flavor = "current_thread")]
async fn collect() {
    let config = LensConfig {
        http_port: 0,
        otlp_grpc_port: 0,
        otlp_http_port: 0,
        max_bytes: 8 << 20,
        ..LensConfig::default()
    };
    let lens = Lens::start(config).await.unwrap();
    println!("{}\n{}", lens.otlp_grpc_url(), lens.otlp_http_url());
    let end = tokio::task::spawn_blocking(|| std::io::stdin().lines().count());
    end.await.unwrap();
}

/// Prints the CPU time of one request in microseconds: of its thread, and of the process.
#[actix_web::main]
async fn measure(mode: &str) {
    let request = || {
        test::TestRequest::post()
            .uri("/api/orders")
            .insert_header(("user-agent", "curl/8.0"))
            .insert_header((
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            ))
            .peer_addr(([127, 0, 0, 1], 40_000).into())
            .to_request()
    };
    let telemetry = init("bench", "1").unwrap();
    let statements = db::Server::new("localhost", 5432, "shop", Duration::from_secs(1));
    let app = App::new()
        .app_data(web::Data::new(statements))
        .app_data(web::Data::new(Producer::new("orders", "localhost", 6379)));
    if mode == "bare" {
        let app = app.route("/api/orders", web::post().to(bare));
        run(test::init_service(app).await, request).await;
    } else {
        let app = app
            .route("/api/orders", web::post().to(create))
            .wrap(Tracing::new());
        run(test::init_service(app).await, request).await;
    }
    telemetry.shutdown(Duration::from_secs(10)).await;
}

async fn run<R, S, B>(app: S, request: impl Fn() -> R)
where
    S: Service<R, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let requests: u32 = std::env::var("REQUESTS").unwrap().parse().unwrap();
    let mut at_start = (0, 0);
    for number in 0..requests + BURST * 5 {
        if number == BURST * 5 {
            // The first requests have created everything that is created once.
            at_start = cpu();
        }
        let response = app.call(request()).await.unwrap();
        assert!(response.status().is_success());
        let _ = to_bytes(response.into_body()).await;
        if number % BURST == 0 {
            tokio::time::sleep(BURST_PAUSE).await;
        }
    }
    let at_end = cpu();
    let each = |nanoseconds: u64| Duration::from_nanos(nanoseconds).as_secs_f64() * 1e6 / f64::from(requests);
    println!(
        "{RESULT}{} {}",
        each(at_end.0 - at_start.0),
        each(at_end.1 - at_start.1)
    );
}

/// Nanoseconds on the CPU so far: this thread's, and the whole process's.
fn cpu() -> (u64, u64) {
    let read = |path: &std::path::Path| -> u64 {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        text.split_whitespace()
            .next()
            .map_or(0, |first| first.parse().unwrap())
    };
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let process = threads
        .map(|thread| read(&thread.unwrap().path().join("schedstat")))
        .sum();
    (read("/proc/thread-self/schedstat".as_ref()), process)
}

async fn bare(_: web::Data<db::Server>, _: web::Data<Producer>) -> HttpResponse {
    HttpResponse::Created().body("{}")
}

const ORDER: &str = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";

static CREATED: LazyLock<Counter<u64>> =
    LazyLock::new(|| metrics::counter("orders.created", "{order}", "Orders that were created."));

async fn create(statements: web::Data<db::Server>, producer: web::Data<Producer>) -> HttpResponse {
    let attributes = || {
        [
            KeyValue::new("order.amount", 99.99),
            KeyValue::new("order.currency", "USD"),
            KeyValue::new("order.items", 1),
            KeyValue::new("order.high_value", false),
            KeyValue::new("payment.method", "credit_card"),
        ]
    };
    span::within("create_order", attributes, async {
        black_box(propagation::inject_current());
        let insert = statements.run::<AddOrder, _>(async { Ok(()) });
        insert.await.unwrap();
        let push = |_context| async { Ok::<_, Infallible>(()) };
        let job = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b:1";
        let sending = producer.send(job, push, |never| match *never {});
        sending.await.unwrap();
        span::set("order.id", ORDER);
        CREATED.add(1, &[]);
        tracing::info!(order.id = ORDER, "order created");
    })
    .await;
    HttpResponse::Created().body("{}")
}

//! The time and allocations of each part on the request's thread: `cargo bench -p
//! throughline-telemetry --bench parts`.
//!
//! Sampled spans are not here: in a loop as tight as this they only fill their queue. The `request` bench
//! measures them.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::Duration;

use divan::{AllocProfiler, Bencher, black_box};
use futures_util::FutureExt;
use throughline_telemetry::job::Producer;
use throughline_telemetry::{builder, db, statement};

#[global_allocator]
static ALLOCATIONS: AllocProfiler = AllocProfiler::system();

statement! {
    /// The statement that is measured.
    AddOrder: "INSERT" "orders", action "create_order", framework "actix-web";
}

/// OpenTelemetry is set up once per process, so each mode is a process.
const MODES: [(&str, [(&str, &str); 2]); 3] = [
    ("disabled", [("OTEL_SDK_DISABLED", "true"), ("", "")]),
    (
        "not sampled, no metrics",
        [
            ("OTEL_TRACES_SAMPLER", "always_off"),
            ("OTEL_METRICS_EXPORTER", "none"),
        ],
    ),
    ("not sampled", [("OTEL_TRACES_SAMPLER", "always_off"), ("", "")]),
];

fn main() {
    let Ok(mode) = std::env::var("MODE") else {
        for (mode, _) in MODES {
            println!("\n# {mode}");
            let mut bench = std::process::Command::new(std::env::current_exe().unwrap());
            bench.args(std::env::args().skip(1)).env("MODE", mode);
            assert!(bench.status().unwrap().success());
        }
        return;
    };
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (_, variables) = MODES.into_iter().find(|(name, _)| *name == mode).unwrap();
    let telemetry = builder("bench", "1").variables(variables).init().unwrap();
    divan::main();
    // Its shutdown would wait for a collector that does not exist.
    std::mem::forget(telemetry);
}

#[divan::bench]
fn internal_span() {
    tracing::info_span!("create_order", order.id = 7).in_scope(|| black_box(()));
}

#[divan::bench]
fn statement_inside_a_trace(bencher: Bencher<'_, '_>) {
    let server = db::Server::new("localhost", 5432, "shop", Duration::from_secs(1));
    let caller = caller();
    let _entered = throughline_telemetry::propagation::extract(&caller).attach();
    bencher.bench_local(|| {
        let statement = server.run::<AddOrder, _>(std::future::ready(Ok(())));
        statement.now_or_never().unwrap().unwrap();
    });
}

#[divan::bench]
fn send_inside_a_trace(bencher: Bencher<'_, '_>) {
    let producer = Producer::new("orders", "localhost", 6379);
    let caller = caller();
    let _entered = throughline_telemetry::propagation::extract(&caller).attach();
    bencher.bench_local(|| {
        let push = |context| std::future::ready(Ok::<_, Infallible>(black_box(context)));
        let sent = producer.send("order:1", push, |never| match *never {});
        sent.now_or_never().unwrap().unwrap()
    });
}

fn caller() -> HashMap<String, String> {
    let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    HashMap::from([("traceparent".to_owned(), header.to_owned())])
}

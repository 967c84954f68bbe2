//! The allocations of telemetry on the request's thread: none if it is switched off, only those of
//! OpenTelemetry's API in a trace that is not sampled, and a bounded number in one that is. A separate
//! binary, since it counts the allocator's calls.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::{Future, ready};
use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use actix_web::dev::Service as _;
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, HttpResponse, web};
use allocation_counter::measure;
use futures_util::FutureExt;
use opentelemetry::Context;
use opentelemetry::trace::{SpanBuilder, TraceContextExt, Tracer};
use throughline_telemetry::http::server::Tracing;
use throughline_telemetry::job::{Consumer, Producer, Received};
use throughline_telemetry::{db, init, propagation, span, statement};
use tower::{Layer, ServiceExt, service_fn};

statement! {
    /// The statement that is counted.
    AddParcel: "INSERT" "parcels", action "add_parcel", framework "actix-web";
}

/// The number of allocations of each operation, by name, in a process with these variables.
fn allocations(variables: &[(&str, &str)]) -> BTreeMap<String, u64> {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_program", "--ignored", "--nocapture"])
        .env_clear()
        .envs(variables.iter().copied())
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    let counted = text.lines().filter_map(|line| {
        let (name, count) = line.strip_prefix("allocations: ")?.rsplit_once(' ')?;
        Some((name.to_owned(), count.parse().unwrap()))
    });
    counted.collect()
}

#[test]
fn switched_off_it_allocates_nothing() {
    let counted = allocations(&[("OTEL_SDK_DISABLED", "true")]);
    for name in ["span", "span in a trace", "step", "statement", "send"] {
        assert_eq!(counted[name], 0, "{name}: {counted:#?}");
    }
    assert_eq!(counted["request"], counted["bare request"], "{counted:#?}");
    // The trace context of a job is extracted, to be propagated.
    assert_eq!(counted["process"], counted["parent of a job"]);
}

#[test]
fn in_a_trace_that_is_not_sampled_only_the_first_span_allocates() {
    let counted = allocations(&[
        ("OTEL_TRACES_SAMPLER", "always_off"),
        ("OTEL_METRICS_EXPORTER", "none"),
        ("OTEL_LOGS_EXPORTER", "none"),
    ]);
    for name in ["span in a trace", "step", "statement"] {
        assert_eq!(counted[name], 0, "{name}: {counted:#?}");
    }
    assert_eq!(counted["send"], counted["context of a job"], "{counted:#?}");
    let first = counted["first span"];
    assert_eq!(counted["process"], counted["parent of a job"] + first);
    // Plus the route's template, which actix-web builds.
    assert_eq!(counted["request"], counted["bare request"] + first + 1);
}

/// The telemetry of one POST: its request, a step, a statement, a sent job and a log event, all
/// recorded. Each span needs one for itself, for its attributes, and for each text that is not static.
#[test]
fn the_telemetry_of_a_recorded_request_allocates_little() {
    let counted = allocations(&[("ENVIRONMENT", "production"), ("OTEL_LOGS_EXPORTER", "otlp")]);
    let request = counted["request"] - counted["bare request"];
    let parts = ["step", "statement", "send", "log event"].map(|name| counted[name]);
    let total = request + parts.iter().sum::<u64>();
    assert!(total <= 36, "{total}: {counted:#?}");
    assert!(counted["statement"] <= 4, "{counted:#?}");
}

/// Prints the allocations of an operation, after a few runs that create everything that is created once.
fn count(name: &str, operation: impl Fn()) {
    for _ in 0..10 {
        operation();
    }
    println!("allocations: {name} {}", measure(operation).count_total);
}

/// The output of a future that is ready.
fn now<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().unwrap()
}

#[test]
#[ignore = "other tests run it, in a separate process"]
fn the_program() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let telemetry = init("counted", "1").unwrap();
    runtime.block_on(requests());
    count("span", || {
        tracing::info_span!("step", parcel.id = 7).in_scope(|| span::set("parcel.weight", 7_i64));
    });
    let tracer = opentelemetry::global::tracer("counted");
    count("first span", || {
        let context = Context::new();
        let span = tracer.build_with_context(SpanBuilder::from_name("first"), &context);
        black_box(context.with_span(span));
    });
    let inside = tracing::info_span!("outer").entered();
    count("span in a trace", || {
        tracing::info_span!("step", parcel.id = 7).in_scope(|| span::set("parcel.weight", 7_i64));
    });
    count("step", || {
        let attributes = || [opentelemetry::KeyValue::new("parcel.id", 7_i64)];
        now(span::within("step", attributes, async {
            span::set("parcel.weight", 7_i64);
        }));
    });
    count("log event", || {
        tracing::info!(
            parcel.id = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
            "parcel delivered"
        );
    });
    let server = db::Server::new("localhost", 5432, "shop", Duration::from_secs(1));
    count("statement", || {
        now(server.run::<AddParcel, _>(ready(Ok(())))).unwrap();
    });
    let producer = Producer::new("parcels", "localhost", 6379);
    let push = |context| ready(Ok::<_, Infallible>(black_box(context)));
    count("context of a job", || {
        black_box(propagation::inject_current());
    });
    count("send", || {
        now(producer.send("parcel-1", push, |never| match *never {})).unwrap();
    });
    let parcel = propagation::inject_current();
    let consumer = Consumer::new("parcels");
    let layer = consumer.layer(|trace| Received {
        message_id: "parcel-1",
        sent_in: trace,
        previous_attempt: Some(trace),
        attempt: 2,
        waited: Duration::ZERO,
        client_id: "worker-1",
    });
    count("parent of a job", || {
        black_box(propagation::extract(&parcel));
    });
    drop(inside);
    let parcels: Vec<_> = (0..20)
        .map(|_| std::cell::Cell::new(Some(parcel.clone())))
        .collect();
    let next = std::cell::Cell::new(0);
    count("process", || {
        let at = next.replace(next.get() + 1);
        let parcel = parcels.get(at).unwrap().take().unwrap();
        let handler = service_fn(|_| ready(Ok::<_, Infallible>(())));
        now(layer.layer(handler).oneshot(parcel)).unwrap();
    });
    // Its shutdown would wait for a collector that does not exist.
    std::mem::forget(telemetry);
}

async fn requests() {
    let bare = App::new()
        .route("/", web::get().to(HttpResponse::Ok))
        .wrap_fn(|request, service| service.call(request));
    let bare = init_service(bare).await;
    let traced = App::new()
        .route("/", web::get().to(HttpResponse::Ok))
        .wrap(Tracing::new());
    let traced = init_service(traced).await;
    count("bare request", || {
        now(bare.call(TestRequest::get().to_request())).unwrap();
    });
    count("request", || {
        now(traced.call(TestRequest::get().to_request())).unwrap();
    });
}

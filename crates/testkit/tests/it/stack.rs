use std::time::Duration;

use serde_json::{Value, json};
use testkit::{
    Binaries, Database, Profile, Service, Signal, Stack, StackBuilder, database, eventually, lens, redis,
};
use tokio::sync::OnceCell;

const END_TIMEOUT: Duration = Duration::from_secs(60);

static BINARIES: OnceCell<Binaries> = OnceCell::const_new();

#[tokio::test]
async fn an_order_goes_through_all_services_in_one_trace() {
    let (lens, (_database, stack)) = (lens().await.unwrap(), builder().await);
    let stack = stack.telemetry_to(&lens.otlp_http_url());
    let stack = stack.start().await.unwrap();

    let order = create_order(&stack).await;
    let trace = lens
        .trace_of_order(&order, |trace| {
            let services = trace.tree().services().len();
            services == 3 && trace.spans.iter().any(|span| span.name.starts_with("process "))
        })
        .await;

    let root = trace.tree().root().map(|span| span.name.clone());
    assert_eq!(root.as_deref(), Some("POST /api/orders"));
}

#[tokio::test]
async fn a_killed_service_restarts_on_its_port() {
    let (_database, stack) = builder().await;
    let mut stack = stack.start().await.unwrap();
    let url = stack.url(Service::Worker);

    stack.kill(Service::Worker).await.unwrap();
    assert_eq!(stack.ended().unwrap(), None, "the test killed it");
    assert!(!is_reachable(&url).await);

    stack.restart(Service::Worker).await.unwrap();
    assert!(is_reachable(&url).await);
    assert_eq!(stack.url(Service::Worker), url);
}

#[tokio::test]
async fn a_service_that_ends_by_itself_is_reported() {
    let (_database, stack) = builder().await;
    let mut stack = stack.start().await.unwrap();
    stack.signal(Service::Gateway, Signal::TERM).unwrap();
    let how = eventually("the end of the gateway", END_TIMEOUT, || {
        std::future::ready(stack.ended().unwrap())
    });
    let how = how.await;
    assert!(how.starts_with("throughline-gateway ended"), "{how}");
}

#[tokio::test]
async fn all_processes_end_with_the_stack() {
    let (_database, stack) = builder().await;
    let mut stack = stack.start().await.unwrap();
    let pids: Vec<i32> = stack.pids().filter_map(|(_, pid)| pid).collect();
    assert_eq!(pids.len(), 4);
    stack.end().await.unwrap();
    assert!(!pids.iter().any(|pid| crate::orphans::is_running(*pid)));
}

#[tokio::test]
async fn a_service_that_cannot_start_gives_the_reason_and_leaves_nothing_running() {
    let (_database, stack) = builder().await;
    let error = stack
        .env(Service::Worker, "WORKER_CONCURRENCY", "many")
        .start()
        .await
        .unwrap_err();
    assert!(error.to_string().contains("WORKER_CONCURRENCY"), "{error:#}");
}

/// A stack on a private database and queue. The database comes first: it must outlive the stack.
async fn builder() -> (Database, StackBuilder) {
    // reqwest requires a TLS provider even for http URLs.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let build = || Binaries::build(Profile::Dev);
    let binaries = BINARIES.get_or_try_init(build).await.unwrap().clone();
    let (database, redis) = (database().await.unwrap(), redis().await.unwrap());
    let queue = database.url().rsplit('/').next().unwrap().to_owned();
    let builder = Stack::builder(database.url(), redis.url()).binaries(binaries);
    (database, builder.queue_name(&queue))
}

async fn create_order(stack: &Stack) -> String {
    let body = json!({ "product_name": "Widget", "amount": "99.99", "payment_method": "credit_card" });
    let orders = format!("{}/api/orders", stack.url(Service::Api));
    let response = reqwest::Client::new()
        .post(orders)
        .json(&body)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 201);
    let order: Value = response.json().await.unwrap();
    order["id"].as_str().unwrap().to_owned()
}

async fn is_reachable(url: &str) -> bool {
    reqwest::get(format!("{url}/health")).await.is_ok()
}

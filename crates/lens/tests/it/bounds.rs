//! Memory stays bounded, and a lens that cannot start reports why.

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use throughline_lens::{Lens, LensConfig, TraceSearch};

use crate::otlp;
use crate::support::{client, get, lens, lens_with_limit};

#[tokio::test]
async fn the_oldest_traces_are_evicted_from_every_search() {
    let lens = lens_with_limit(128 * 1024).await;
    let mut client = TraceServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    for trace in 1..=1_000 {
        let span = otlp::order_span(trace, &format!("order-{trace}"));
        client
            .export(otlp::spans(&format!("service-{}", trace % 500), vec![span]))
            .await
            .unwrap();
    }

    let store = lens.store();
    let stored = store.traces().len();
    assert!((10..300).contains(&stored), "{stored} traces");
    assert!(store.find_by_order("order-1").is_empty());
    assert_eq!(store.find_by_order("order-1000").len(), 1);
    assert!(store.services().len() <= stored);
    let search = TraceSearch {
        query: "service=service-1".parse().unwrap(),
        ..TraceSearch::default()
    };
    assert!(store.search_traces(&search).items.is_empty());
}

#[tokio::test]
async fn the_oldest_log_records_and_metrics_are_evicted() {
    let lens = lens_with_limit(128 * 1024).await;
    let mut logs = LogsServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    let mut metrics = MetricsServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    for number in 1..=500 {
        logs.export(otlp::logs("api", vec![otlp::log(1, 9, &format!("log {number}"))]))
            .await
            .unwrap();
        let metric = otlp::counter(&format!("metric.{number}"), number);
        metrics.export(otlp::metrics("api", vec![metric])).await.unwrap();
    }

    let logs = lens.store().logs();
    assert!((1..250).contains(&logs.len()), "{}", logs.len());
    assert_eq!(logs.last().unwrap().body.as_str(), Some("log 500"));
    let metrics = lens.store().metrics();
    assert!((1..250).contains(&metrics.len()), "{}", metrics.len());
    assert!(metrics.iter().any(|metric| metric.name == "metric.500"));
    assert!(metrics.iter().all(|metric| metric.name != "metric.1"));
}

#[tokio::test]
async fn a_port_in_use_is_named_with_the_variable_that_sets_it() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let config = LensConfig {
        http_port: 0,
        otlp_grpc_port: 0,
        otlp_http_port: port,
        ..LensConfig::default()
    };
    let error = Lens::start(config).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "127.0.0.1:{port} (OTLP/HTTP) is in use: \
             stop the process that listens there, or set LENS_HTTP_PORT to another port"
        )
    );
}

#[tokio::test]
async fn a_stopped_lens_does_not_listen_even_if_clients_hold_connections() {
    let lens = lens().await;
    let page = format!("{}/health", lens.page_url());
    let client = client();
    assert!(client.get(&page).send().await.unwrap().status().is_success());
    let _idle = TraceServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    lens.stop().await;
    assert!(client.get(&page).send().await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_also_runs_in_a_multi_thread_runtime() {
    let lens = lens().await;
    assert!(
        get(format!("{}/health", lens.page_url()))
            .await
            .status()
            .is_success()
    );
    lens.stop().await;
}

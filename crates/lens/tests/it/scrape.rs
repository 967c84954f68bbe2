//! Prometheus reads metrics at the path of their page.

use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::metrics::v1::metrics_service_client::MetricsServiceClient;
use opentelemetry_proto::tonic::metrics::v1::Metric;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use throughline_lens::Lens;

use crate::otlp;
use crate::support::{client, lens};

/// What Prometheus 2.42 sends.
const PROMETHEUS: &str = "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
     text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

fn measured_now(mut metric: Metric) -> Metric {
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap();
    if let Some(Data::Sum(sum)) = &mut metric.data {
        sum.data_points[0].time_unix_nano = u64::try_from(now.as_nanos()).unwrap();
    }
    metric
}

async fn get(lens: &Lens, path: &str, accept: &str) -> (String, String) {
    let request = client().get(lens.page_url() + path).header(ACCEPT, accept);
    let response = request.send().await.unwrap().error_for_status().unwrap();
    let content_type = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
    (content_type, response.text().await.unwrap())
}

#[tokio::test]
async fn prometheus_gets_text_and_a_browser_the_page() {
    let lens = lens().await;
    let mut sender = MetricsServiceClient::connect(lens.otlp_grpc_url()).await.unwrap();
    let metrics = vec![
        measured_now(otlp::counter("orders.created", 5)),
        otlp::counter("of.old", 1),
    ];
    sender.export(otlp::metrics("shop", metrics)).await.unwrap();

    for accept in [PROMETHEUS, "text/plain"] {
        let (content_type, text) = get(&lens, "/metrics", accept).await;
        assert_eq!(content_type, "text/plain; version=0.0.4; charset=utf-8");
        let expected = "orders_created_total{instance=\"shop-1\",job=\"shop\"} 5\n";
        assert!(text.contains(expected), "{text}");
        // Its process has not sent anything for years.
        assert!(!text.contains("of_old"), "{text}");
    }
    let all = get(&lens, "/metrics?max_age=1e10", "text/plain").await.1;
    assert!(all.contains("of_old_total{"), "{all}");
    for accept in ["text/html,application/xhtml+xml,*/*;q=0.8", "*/*"] {
        let (content_type, text) = get(&lens, "/metrics", accept).await;
        assert_eq!(content_type, "text/html; charset=utf-8", "{text}");
    }
}

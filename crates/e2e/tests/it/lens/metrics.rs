//! Metrics: the list, the charts of one, and the way from a bucket to traces.

use serde_json::json;

use super::pages::metrics;
use super::sender::{Desk, SERVER, Span, span, trace_id};

#[tokio::test(flavor = "multi_thread")]
async fn a_metric_is_charted_by_its_kind_and_its_attributes_are_chosen() {
    let desk = Desk::open().await;
    for (at, count) in [(0, 10), (2_000, 30), (4_000, 70)] {
        desk.metrics("shop-api", metrics(&desk, at, count)).await;
    }
    desk.metrics("shop-worker", metrics(&desk, 4_000, 70)).await;
    let developer = &desk.developer;
    developer.opens("/metrics").await;
    for (name, kind) in [
        ("requests", "counter"),
        ("pool", "value"),
        ("request.duration", "distribution"),
    ] {
        developer.sees(name).await;
        developer.sees(kind).await;
    }
    developer.clicks("requests").await;
    developer.sees("Per second").await;
    let lines =
        "return [...document.querySelectorAll('#lines tbody tr')].map(row => row.cells[0].innerText.trim())";
    assert_eq!(developer.runs(lines).await.as_array().unwrap().len(), 2);
    developer
        .runs("document.querySelector('select[name=\"a.service\"]').value = 'shop-api'")
        .await;
    developer.clicks("Choose").await;
    developer
        .finds(
            "the choice",
            "return location.search.includes('shop-api') || null",
        )
        .await;
    let line = developer.runs(lines).await;
    assert_eq!(line, json!(["http.route=/api/orders service=shop-api"]));

    developer.clicks("All metrics").await;
    developer.clicks("pool").await;
    developer.sees("Use of the pool").await;
    developer.sees("0.5").await;
    desk.developer.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_leads_to_the_traces_of_its_duration() {
    let desk = Desk::open().await;
    let request = |trace, end| Span {
        attributes: vec![("http.route", json!("/api/orders"))],
        ..span(trace, 1, 0, "POST /api/orders", SERVER, 0..end)
    };
    desk.spans("shop-api", [request(1, 5), request(2, 50)]).await;
    for (at, count) in [(0, 10), (2_000, 30)] {
        desk.metrics("shop-api", metrics(&desk, at, count)).await;
    }
    let developer = &desk.developer;
    developer.opens("/metrics?name=request.duration").await;
    developer.sees("Heat map").await;
    developer.sees("Percentiles").await;
    developer.opens("/metrics?name=request.duration&last=1m").await;
    let times = "return [...document.querySelectorAll('#metric .chart')].map(chart =>
        new Set([...chart.querySelectorAll('text[data-time]')].map(text => text.textContent)).size)";
    assert_eq!(
        developer.runs(times).await,
        json!([3, 3, 3]),
        "each time is another"
    );
    developer.opens("/metrics?name=request.duration").await;
    assert!(
        developer
            .runs("return document.querySelectorAll('.heat rect').length")
            .await
            .as_u64()
            .unwrap()
            >= 2
    );
    developer.clicks("Traces of 10 ms to 100 ms").await;
    let listed = "return [...document.querySelectorAll('#trace-table tbody a[href^=\"/traces/\"]')].map(link => link.getAttribute('href'))";
    assert_eq!(
        developer.runs(listed).await,
        json!([format!("/traces/{}", trace_id(2))])
    );
    desk.developer.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chart_grows_while_it_is_watched() {
    let desk = Desk::open().await;
    let developer = &desk.developer;
    developer.opens("/metrics").await;
    developer.sees("lens has received no metric yet").await;
    developer.sees("live").await;
    desk.metrics("shop-api", metrics(&desk, 1_000, 10)).await;
    developer.sees("request.duration").await;
    desk.developer.leaves().await;
}

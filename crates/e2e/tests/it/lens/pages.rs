//! What holds for every page: both themes, a phone, screen readers, without scripts.

use serde_json::json;

use super::sender::{Desk, attributes, order, trace_id};

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_in_both_themes_and_fits_a_phone() {
    let desk = Desk::open().await;
    let pages = every_page(&desk).await;
    let obstacles = desk.developer.finds_obstacles_on(&pages).await;
    assert!(obstacles.is_empty(), "{}", obstacles.join("\n"));
    desk.developer.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_pages_say_what_to_do_and_are_accessible() {
    let mut desk = Desk::open().await;
    desk.developer.expects("status of 404");
    desk.developer.expects("status of 400");
    let developer = &desk.developer;
    let mut obstacles = Vec::new();
    for (page, words) in [
        ("/", "lens has received no trace yet"),
        ("/?q=text", "lens has received no trace yet"),
        ("/logs", "lens has received no log record yet"),
        ("/metrics", "lens has received no metric yet"),
        ("/map", "lens has received no span yet"),
        ("/compare", "Open a trace and press Compare"),
        ("/traces/00000000000000000000000000000001", "Not found"),
        ("/traces/no-id", "This address is not valid"),
        ("/?last=soon", "This address is not valid"),
    ] {
        developer.opens(page).await;
        developer.sees(words).await;
        obstacles.extend(developer.finds_obstacles().await);
    }
    assert!(obstacles.is_empty(), "{}", obstacles.join("\n"));
    desk.developer.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_shows_its_content_without_scripts() {
    let desk = Desk::open().await;
    let pages = every_page(&desk).await;
    for page in &pages {
        let (with, without) = desk.developer.counts_elements(page).await;
        assert!(without > with * 0.9, "{page}: {without} of {with} elements");
    }
    desk.developer.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_lead_to_the_search_the_list_of_keys_and_the_pages() {
    let desk = Desk::open().await;
    let developer = &desk.developer;
    developer.opens("/").await;
    developer.types("/").await;
    assert_eq!(developer.focused().await, "search");
    developer.opens("/").await;
    developer.types("?").await;
    developer.sees("These keys").await;
    developer.presses(testkit::Key::Escape).await;
    developer.no_longer_sees("These keys").await;
    for (keys, page) in [("gl", "/logs"), ("gm", "/metrics"), ("gp", "/map"), ("gt", "/")] {
        developer.types(keys).await;
        developer.is_at(page).await;
    }
    developer.sees_no("System").await;
    desk.developer.leaves().await;
}

/// Addresses of all pages, with telemetry of each kind.
async fn every_page(desk: &Desk) -> Vec<String> {
    order(desk, 1, "o-1", 60).await;
    order(desk, 2, "o-2", 5).await;
    desk.logs(
        "shop-worker",
        &[
            (20, 1, 6, 17, "the bank declined the card"),
            (21, 0, 0, 9, "started"),
        ],
    )
    .await;
    for (at, count) in [(0, 10), (2_000, 30), (4_000, 70)] {
        desk.metrics("shop-api", metrics(desk, at, count)).await;
    }
    let (a, b) = (trace_id(1), trace_id(2));
    let mut pages: Vec<String> = [
        "/",
        "/?q=duration%3E50ms",
        "/?q=duration%3E50",
        "/?q=nothing-like-this",
        "/logs",
        "/logs?level=warn",
        "/metrics",
        "/metrics?name=requests",
        "/metrics?name=request.duration",
        "/metrics?name=pool",
        "/map",
        "/compare",
    ]
    .map(str::to_owned)
    .into();
    pages.extend([
        format!("/traces/{a}"),
        format!("/compare?a={a}"),
        format!("/compare?a={a}&b={b}"),
    ]);
    pages.push(format!("/traces/{a}?span={:016x}", 6));
    pages
}

/// A counter, a gauge and a histogram.
pub(super) fn metrics(desk: &Desk, at: u32, count: u64) -> Vec<serde_json::Value> {
    let route = attributes(&[("http.route", json!("/api/orders"))]);
    let times =
        json!({ "startTimeUnixNano": desk.time(0), "timeUnixNano": desk.time(at), "attributes": route });
    let with = |mut point: serde_json::Value, fields: serde_json::Value| {
        point
            .as_object_mut()
            .unwrap()
            .extend(fields.as_object().unwrap().clone());
        point
    };
    let sum = with(times.clone(), json!({ "asInt": count.to_string() }));
    let gauge = with(times.clone(), json!({ "asDouble": 0.5 }));
    let buckets: Vec<String> = [count / 2, count / 2, 0].iter().map(u64::to_string).collect();
    let histogram = with(
        times,
        json!({
            "count": (count / 2 * 2).to_string(), "sum": 1.5, "explicitBounds": [0.01, 0.1], "bucketCounts": buckets,
        }),
    );
    vec![
        json!({ "name": "requests", "unit": "{request}", "description": "Requests", "sum": { "aggregationTemporality": 2, "isMonotonic": true, "dataPoints": [sum] } }),
        json!({ "name": "pool", "unit": "1", "description": "Use of the pool", "gauge": { "dataPoints": [gauge] } }),
        json!({ "name": "request.duration", "unit": "s", "description": "Duration of requests", "histogram": { "aggregationTemporality": 2, "dataPoints": [histogram] } }),
    ]
}

//! The map, and the way from a call to its traces.

use serde_json::json;

use super::sender::{CLIENT, Desk, SERVER, Span, order, span, trace_id};

#[tokio::test(flavor = "multi_thread")]
async fn services_stores_and_queues_are_nodes_and_calls_lead_to_their_traces() {
    let desk = Desk::open().await;
    order(&desk, 1, "o-1", 60).await;
    desk.spans(
        "shop-api",
        [
            span(2, 1, 0, "GET /api/orders", SERVER, 0..9),
            Span {
                attributes: vec![("db.system.name", json!("redis"))],
                error: Some("connection refused"),
                ..span(2, 2, 1, "GET", CLIENT, 1..8)
            },
        ],
    )
    .await;
    let developer = &desk.developer;
    developer.opens("/map").await;
    let nodes = "return [...document.querySelectorAll('.map .name')].map(name => name.textContent).sort()";
    assert_eq!(
        developer.runs(nodes).await,
        json!(["PostgreSQL", "Redis", "bank", "shop-api", "shop-worker"])
    );
    let failed =
        "return [...document.querySelectorAll('#calls tr.failed')].map(row => row.cells[1].innerText)";
    assert_eq!(developer.runs(failed).await, json!(["Redis store"]));
    assert_eq!(
        developer
            .runs("return document.querySelectorAll('.map .edge.failed').length")
            .await,
        1
    );

    let listed = "return [...document.querySelectorAll('#trace-table tbody a[href^=\"/traces/\"]')].map(link => link.getAttribute('href').slice(-1)).sort()";
    for (call, traces) in [
        (
            "@aria-label='Failed traces of these calls of shop-api to Redis'",
            json!(["2"]),
        ),
        (
            "@aria-label='Traces of the calls of shop-worker to bank'",
            json!(["1"]),
        ),
        (
            "@aria-label='Traces of the calls of shop-api to PostgreSQL'",
            json!(["1"]),
        ),
        (".//*[local-name()='text' and .='shop-api']", json!(["1", "2"])),
    ] {
        developer.opens("/map").await;
        developer
            .clicks_at(&format!("//*[local-name()='a'][{call}]"))
            .await;
        developer
            .finds("the search", "return location.search.length > 1 || null")
            .await;
        assert_eq!(developer.runs(listed).await, traces, "{call}");
    }
    developer.opens(&format!("/traces/{}", trace_id(2))).await;
    developer.sees("waited for Redis").await;
    desk.developer.leaves().await;
}

//! Logs: the list, and the way from a record to its span and back.

use super::sender::{Desk, order, span_id, trace_id};

const BODIES: &str = "return [...document.querySelectorAll('#log-table tbody tr')].map(row => row.cells[3].firstChild.textContent)";

#[tokio::test(flavor = "multi_thread")]
async fn records_are_found_by_level_service_text_and_trace() {
    let desk = Desk::open().await;
    order(&desk, 1, "o-1", 5).await;
    desk.logs(
        "shop-worker",
        &[
            (12, 1, 4, 9, "order claimed"),
            (20, 1, 6, 17, "the bank declined the card"),
        ],
    )
    .await;
    desk.logs(
        "shop-api",
        &[(30, 0, 0, 13, "pool is full"), (31, 0, 0, 5, "debugging")],
    )
    .await;
    let developer = &desk.developer;
    developer.opens("/logs").await;
    assert_eq!(developer.runs(BODIES).await.as_array().unwrap().len(), 4);
    for (path, bodies) in [
        (
            "/logs?level=warn",
            serde_json::json!(["pool is full", "the bank declined the card"]),
        ),
        (
            "/logs?level=warn&service=shop-worker",
            serde_json::json!(["the bank declined the card"]),
        ),
        (
            "/logs?q=claimed+thread%3Dmain",
            serde_json::json!(["order claimed"]),
        ),
    ] {
        developer.opens(path).await;
        assert_eq!(developer.runs(BODIES).await, bodies, "{path}");
    }
    developer.opens("/logs").await;
    developer.searches("level=error").await;
    developer
        .finds("the search", "return location.search.length > 1 || null")
        .await;
    assert_eq!(developer.runs(BODIES).await.as_array().unwrap().len(), 1);
    developer.opens("/logs").await;
    developer.searches("duration>1s").await;
    developer.sees("The search is not valid.").await;
    desk.developer.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_leads_to_its_span_and_the_span_back_to_the_record() {
    let desk = Desk::open().await;
    order(&desk, 1, "o-1", 5).await;
    desk.logs("shop-worker", &[(20, 1, 6, 17, "the bank declined the card")])
        .await;
    let developer = &desk.developer;
    developer.opens("/logs").await;
    developer.clicks("span").await;
    developer
        .is_at(&format!("/traces/{}?span={}", trace_id(1), span_id(6)))
        .await;
    developer.sees("the bank declined the card").await;
    // The record is marked at its time in the waterfall.
    assert_eq!(
        developer
            .runs("return document.querySelectorAll('.tick.bad').length")
            .await,
        1
    );
    developer
        .clicks_at("//*[@id='waterfall']//ol//a[normalize-space()='error']")
        .await;
    developer.is_at(&format!("/logs?trace={}", trace_id(1))).await;
    developer.clicks("Back to the trace").await;
    developer.is_at(&format!("/traces/{}", trace_id(1))).await;
    desk.developer.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_appear_while_the_list_is_watched() {
    let desk = Desk::open().await;
    let developer = &desk.developer;
    developer.opens("/logs?level=warn").await;
    developer.sees("No log record matches this search").await;
    developer.sees("newest first, live").await;
    desk.logs(
        "shop-api",
        &[(1, 0, 0, 9, "too quiet"), (2, 0, 0, 13, "pool is full")],
    )
    .await;
    developer.sees("pool is full").await;
    developer.sees_no("too quiet").await;
    desk.developer.leaves().await;
}

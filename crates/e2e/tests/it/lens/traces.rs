//! Traces: the list, one trace, and two of them.

use serde_json::json;
use testkit::Key;

use super::sender::{CLIENT, Desk, INTERNAL, SERVER, Span, order, span, span_id, trace_id};

/// The names of the visible rows of the waterfall.
const ROWS: &str = "return [...document.querySelectorAll('#waterfall .node:not([hidden]) .name b')]
    .map(name => name.innerText)";

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_says_where_its_time_went_and_marks_the_critical_path() {
    let desk = Desk::open().await;
    order(&desk, 1, "o-1", 60).await;
    let developer = &desk.developer;
    developer.opens("/").await;
    developer
        .clicks_at("//*[@id='trace-table']//a[.='POST /api/orders']")
        .await;
    developer.is_at(&format!("/traces/{}", trace_id(1))).await;
    // 4 ms of INSERT and 60 ms of UPDATE, of 90 ms.
    developer.sees("71 % of 90 ms waited for PostgreSQL").await;
    developer.sees("Waited longest for UPDATE orders 60 ms").await;
    assert_eq!(
        developer.runs(ROWS).await,
        json!([
            "POST /api/orders",
            "INSERT orders",
            "send orders",
            "process orders",
            "UPDATE orders",
            "pay",
            "POST /charges"
        ])
    );
    // A parent that only waits for its children is on the path with its own time alone.
    developer.clicks("Critical path only").await;
    let marked = developer.runs("return [...document.querySelectorAll('.node:not([hidden])')].every(one => one.querySelector('.crit'))");
    assert_eq!(marked.await, true);
    desk.developer.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_is_folded_searched_and_read_by_keys() {
    let desk = Desk::open().await;
    order(&desk, 1, "o-1", 60).await;
    let developer = &desk.developer;
    developer.opens(&format!("/traces/{}", trace_id(1))).await;
    developer.types("jjjj").await;
    assert_eq!(
        developer
            .runs("return document.activeElement.innerText")
            .await
            .as_str()
            .unwrap()
            .lines()
            .next(),
        Some("process orders")
    );
    developer.types("h").await;
    assert_eq!(developer.runs(ROWS).await.as_array().unwrap().len(), 4);
    developer.types("l").await;
    assert_eq!(developer.runs(ROWS).await.as_array().unwrap().len(), 7);
    developer.clicks("Fold all").await;
    assert_eq!(developer.runs(ROWS).await.as_array().unwrap().len(), 3);
    developer.clicks("Unfold all").await;
    developer.clicks("Children of process orders").await;
    assert_eq!(developer.runs(ROWS).await.as_array().unwrap().len(), 4);
    developer.clicks("Unfold all").await;

    developer.clicks("Fold all").await;
    developer.types("f").await;
    assert_eq!(developer.focused().await, "find");
    developer.clicks("Unfold all").await;
    developer.types("f").await;
    developer.types("charges").await;
    developer.sees("1 span found").await;
    developer.presses(Key::Enter).await;
    developer.presses(Key::Enter).await;
    developer.sees("A request to bank").await;
    developer.types("?").await;
    developer.sees("The critical path only").await;
    developer.presses(Key::Escape).await;
    desk.developer.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_leads_to_a_span_also_inside_a_folded_one() {
    let desk = Desk::open().await;
    order(&desk, 1, "o-1", 60).await;
    let developer = &desk.developer;
    let trace = trace_id(1);
    developer
        .opens(&format!("/traces/{trace}?span={}", span_id(6)))
        .await;
    developer.sees("the trace waited 2 ms for it").await;
    developer.clicks(&span_id(6)).await;
    developer
        .opens(&format!("/traces/{trace}#span-{}", span_id(7)))
        .await;
    developer.sees("A request to bank").await;
    desk.developer.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn traces_are_found_by_attribute_duration_error_and_text() {
    let desk = Desk::open().await;
    order(&desk, 1, "o-fast", 5).await;
    order(&desk, 2, "o-slow", 900).await;
    desk.spans(
        "shop-api",
        [Span {
            error: Some("no such order"),
            ..span(3, 1, 0, "GET /api/orders", SERVER, 0..4)
        }],
    )
    .await;
    const LISTED: &str = "return [...document.querySelectorAll('#trace-table tbody a[href^=\"/traces/\"]')]
        .map(link => Number(link.getAttribute('href').slice(-4)))";
    let developer = &desk.developer;
    developer.opens("/").await;
    assert_eq!(developer.runs(LISTED).await.as_array().unwrap().len(), 3);
    for (search, found) in [
        ("order.id=o-slow", json!([2])),
        ("duration>500ms", json!([2])),
        ("error", json!([3])),
        ("such", json!([3])),
        ("{ name=pay kind=client } order.id!=o-slow", json!([1])),
    ] {
        developer.opens("/").await;
        developer.searches(search).await;
        developer
            .finds("the search", "return location.search.length > 1 || null")
            .await;
        assert_eq!(developer.runs(LISTED).await, found, "{search}");
    }
    developer.opens("/").await;
    developer.searches("duration>500").await;
    developer
        .sees("The search is not valid. `duration>500`: duration takes")
        .await;

    developer.opens("/").await;
    developer.clicks("with errors only").await;
    developer.clicks("Filter").await;
    developer.is_at("/?service=&longer=&last=&failed=1").await;
    assert_eq!(developer.runs(LISTED).await, json!([3]));
    developer.clicks("All traces").await;
    developer.is_at("/").await;
    // The summary by the first span leads to its traces.
    developer
        .clicks_at("//*[@id='trace-rates']//a[.='POST /api/orders']")
        .await;
    developer
        .finds("the search", "return location.search.length > 1 || null")
        .await;
    assert_eq!(developer.runs(LISTED).await.as_array().unwrap().len(), 2);
    developer.searches(&trace_id(2)).await;
    developer.is_at(&format!("/traces/{}", trace_id(2))).await;
    desk.developer.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_has_pages() {
    let desk = Desk::open().await;
    desk.spans(
        "shop-api",
        (1..=60).map(|id| span(id, 1, 0, "GET /", SERVER, id..(id + 1))),
    )
    .await;
    let developer = &desk.developer;
    developer.opens("/").await;
    let rows = "return document.querySelectorAll('#trace-table tbody tr').length";
    assert_eq!(developer.runs(rows).await, 50);
    developer.clicks("Older").await;
    developer
        .finds("the older traces", &format!("{rows} === 10 || null"))
        .await;
    developer.clicks("Newest").await;
    developer.is_at("/").await;
    desk.developer.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_and_a_trace_grow_while_they_are_watched_unless_they_are_paused() {
    let desk = Desk::open().await;
    let developer = &desk.developer;
    developer.opens("/").await;
    developer.sees("lens has received no trace yet").await;
    developer.sees("newest first, live").await;
    desk.spans("shop-api", [span(1, 1, 0, "alpha", SERVER, 0..5)])
        .await;
    developer.sees("alpha").await;
    developer.clicks("Pause").await;
    developer.sees("paused").await;
    desk.spans("shop-api", [span(2, 1, 0, "omega", SERVER, 0..5)])
        .await;
    developer.runs_two_frames().await;
    developer.sees_no("omega").await;
    developer.clicks("Resume").await;
    developer.sees("omega").await;

    developer.clicks_at("//*[@id='trace-table']//a[.='alpha']").await;
    developer.sees("1 span").await;
    developer
        .finds(
            "live data",
            "return document.getElementById('live-state').innerText === 'live' || null",
        )
        .await;
    desk.spans("shop-api", [span(1, 2, 1, "late child", INTERNAL, 1..2)])
        .await;
    developer.sees("late child").await;
    developer.sees("2 spans").await;
    desk.developer.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_traces_are_compared_by_what_they_waited_for() {
    let desk = Desk::open().await;
    order(&desk, 1, "o-fast", 5).await;
    order(&desk, 2, "o-slow", 60).await;
    desk.spans("shop-api", [span(2, 8, 1, "audit", CLIENT, 5..6)])
        .await;
    let developer = &desk.developer;
    developer.opens(&format!("/traces/{}", trace_id(1))).await;
    developer.clicks("Compare").await;
    developer.sees("Other traces of POST /api/orders").await;
    developer.clicks(&trace_id(2)).await;
    developer
        .sees("B took 55 ms longer than A. The largest part is waiting for PostgreSQL: 55 ms longer.")
        .await;
    let row = |name: &str| {
        format!(
            "return [...document.querySelectorAll('.pairs tr')].find(row => row.querySelector('b')?.innerText === '{name}').innerText.split(/\\s+/).slice(-3).join(' ')"
        )
    };
    assert_eq!(developer.runs(&row("pay")).await, "16 ms same");
    assert!(
        developer
            .runs(&row("UPDATE orders"))
            .await
            .as_str()
            .unwrap()
            .ends_with("+55 ms")
    );
    assert_eq!(developer.runs(&row("audit")).await, "only in B");
    developer.clicks("Swap").await;
    developer.sees("B took 55 ms shorter than A").await;
    desk.developer.leaves().await;
}

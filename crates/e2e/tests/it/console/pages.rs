//! What holds for every page: both themes, a phone, screen readers, without scripts.

use serde_json::json;

use super::operator;
use super::seed::{charged, declined, outage, text, waiting};
use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn every_page_is_accessible_in_both_themes_and_fits_a_phone() {
    let shop = Shop::open().await;
    let pages = every_page(&shop).await;
    let operator = operator(&shop).await;
    let obstacles = operator.finds_obstacles_on(&pages).await;
    assert!(obstacles.is_empty(), "{}", obstacles.join("\n"));
    operator.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn empty_pages_say_that_nothing_is_there_and_are_accessible() {
    let shop = Shop::open().await;
    let mut operator = operator(&shop).await;
    operator.expects("status of 404");
    let mut obstacles = Vec::new();
    for (page, words) in [
        ("/", "No order has failed."),
        ("/orders", "There are no orders yet."),
        ("/failures", "No order has failed."),
        ("/queue", "Running"),
        ("/operations", "No operator has changed many orders"),
        ("/orders/01a21c42-d6e8-74f6-aff1-150e400dea2b", "Not Found"),
        ("/orders/no-id", "Not Found"),
    ] {
        operator.opens(page).await;
        operator.sees(words).await;
        obstacles.extend(operator.finds_obstacles().await);
    }
    assert!(obstacles.is_empty(), "{}", obstacles.join("\n"));
    operator.leaves().await;
}

/// Parts that arrive change the text, and move nothing that an operator is about to click.
#[tokio::test(flavor = "multi_thread")]
async fn live_data_moves_nothing() {
    const OBSERVE: &str = "window.moved = 0; new PerformanceObserver(list => {
            for (const one of list.getEntries()) if (!one.hadRecentInput) window.moved += one.value;
        }).observe({ type: 'layout-shift', buffered: true })";
    const LIVE: &str = "const state = document.getElementById('live-state');
        return !state || state.innerText === 'live' || null";
    let shop = Shop::open().await;
    let pages = every_page(&shop).await;
    let operator = operator(&shop).await;
    for page in &pages {
        operator.opens(page).await;
        operator.runs(OBSERVE).await;
        if operator.runs("return !document.body.dataset.live").await == true {
            continue;
        }
        operator.finds("live data", LIVE).await;
        declined(&shop).await;
        operator.runs_two_frames().await;
        let moved = operator.runs("return window.moved").await.as_f64().unwrap();
        // Up to 0.1 is good by the definition of Cumulative Layout Shift.
        assert!(moved < 0.1, "{page} moved by {moved}");
    }
    operator.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_shows_its_content_without_scripts() {
    let shop = Shop::open().await;
    let pages = every_page(&shop).await;
    let operator = operator(&shop).await;
    for page in &pages {
        let (with, without) = operator.counts_elements(page).await;
        if page == "/docs" {
            // A script draws the reference of the API.
            operator.sees("This page shows /api/openapi.json").await;
            continue;
        }
        assert!(without > with * 0.8, "{page}: {without} of {with} elements");
    }
    operator.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn times_are_in_the_readers_zone_and_in_utc_on_hover() {
    let shop = Shop::open().await;
    let order = charged(&shop).await;
    let operator = operator(&shop).await;
    operator
        .devtools(
            "Emulation.setTimezoneOverride",
            json!({ "timezoneId": "Asia/Tokyo" }),
        )
        .await;
    operator.opens(&format!("/orders/{}", text(&order, "id"))).await;
    let time = "const time = document.querySelector('main time[data-format=precise]');
        if (!time) return null;
        const at = new Date(time.dateTime);
        return [time.textContent.startsWith(String(at.getHours()).padStart(2, '0')), at.getTimezoneOffset(), time.title]";
    let time = operator.finds("a precise time", time).await;
    assert_eq!((&time[0], &time[1]), (&json!(true), &json!(-540)), "{time}");
    assert!(time[2].as_str().unwrap().contains("UTC"), "{time}");
    operator.leaves().await;
}

/// Addresses of all pages, with orders in several states.
async fn every_page(shop: &Shop) -> Vec<String> {
    outage(&shop.database, 60).await;
    let mut pages: Vec<String> = [
        "/",
        "/?range=24h",
        "/orders",
        "/orders?status=failed&failure_code=payment_deadline",
        "/orders?customer=no-customer",
        "/failures",
        "/queue",
        "/operations",
        "/sign-in",
        "/docs",
    ]
    .map(str::to_owned)
    .into();
    for order in [charged(shop).await, declined(shop).await] {
        pages.push(format!("/orders/{}", text(&order, "id")));
    }
    pages.push(format!("/orders/{}/retry", text(&declined(shop).await, "id")));
    pages.push(format!("/orders/{}", waiting(shop).await));
    shop.gateway_faults(&json!({})).await;
    pages
}

//! The console without a mouse.

use testkit::Key;

use super::operator;
use super::seed::{declined, outage, text};
use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn keys_lead_to_the_search_the_list_of_keys_and_the_pages() {
    let shop = Shop::open().await;
    let operator = operator(&shop).await;
    operator.opens("/").await;
    operator.types("/").await;
    assert_eq!(operator.focused().await, "search");
    // In a field, keys are text.
    operator.types("?g").await;
    operator.sees_no("These keys").await;

    operator.opens("/").await;
    operator.types("?").await;
    operator.sees("These keys").await;
    operator.presses(Key::Escape).await;
    operator.no_longer_sees("These keys").await;
    for (keys, page) in [
        ("go", "/orders"),
        ("gf", "/failures"),
        ("gq", "/queue"),
        ("gh", "/"),
    ] {
        operator.types(keys).await;
        operator.is_at(page).await;
    }
    operator.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_tab_skips_the_navigation_and_the_order_of_tabs_is_that_of_the_page() {
    let shop = Shop::open().await;
    outage(&shop.database, 2).await;
    let operator = operator(&shop).await;
    operator.opens("/orders").await;
    operator.presses(Key::Tab).await;
    let first = operator.runs("return document.activeElement.innerText").await;
    assert_eq!(first, "Skip to the content");
    operator.presses(Key::Enter).await;
    assert_eq!(operator.focused().await, "main");
    // Every control is reached, in the order of the document. A field for a time has several places.
    const PLACE: &str = "const controls = [...document.querySelectorAll(
            'main :is(a[href], button, select, summary, input:not([type=hidden]), [tabindex])')]
            .filter(one => !one.disabled && one.checkVisibility());
        return [controls.indexOf(document.activeElement), controls.length - 1]";
    let (mut place, mut last) = (0, u64::MAX);
    while place < last {
        operator.presses(Key::Tab).await;
        let found = operator.runs(PLACE).await;
        let next = found[0].as_u64().unwrap();
        assert!(next == place || next == place + 1, "after {place} comes {next}");
        (place, last) = (next, found[1].as_u64().unwrap());
    }
    operator.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_opened_and_its_retry_is_left_and_confirmed_by_keys() {
    let shop = Shop::open().await;
    let order = declined(&shop).await;
    let id = text(&order, "id");
    let operator = operator(&shop).await;
    operator.opens("/orders").await;
    operator.focuses(&format!("main a[href='/orders/{id}']")).await;
    operator.presses(Key::Enter).await;
    operator.is_at(&format!("/orders/{id}")).await;

    operator
        .focuses(&format!("main a[href='/orders/{id}/retry']"))
        .await;
    operator.presses(Key::Enter).await;
    operator
        .finds("the dialog", "return document.querySelector('dialog[open]')?.id")
        .await;
    operator.presses(Key::Escape).await;
    operator
        .finds(
            "no dialog",
            "return document.querySelector('dialog[open]') ? null : true",
        )
        .await;
    // The focus returns to where it was.
    let focused = operator
        .runs("return document.activeElement.getAttribute('href')")
        .await;
    assert_eq!(focused, format!("/orders/{id}/retry"));

    operator.presses(Key::Enter).await;
    operator
        .finds("the dialog", "return document.querySelector('dialog[open]')?.id")
        .await;
    operator.focuses("dialog[open] .actions button").await;
    operator.presses(Key::Enter).await;
    operator.sees("attempt 2").await;
    operator.leaves().await;
}

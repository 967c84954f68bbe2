//! Finding an order, understanding why it failed, and what an operator does about it.

use serde_json::json;
use testkit::Service;

use super::operator;
use super::seed::{charged, declined, teapot, text, waiting};
use crate::operator::PHONE;
use crate::shop::Shop;

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_found_by_each_of_its_ids() {
    let shop = Shop::open().await;
    let order = charged(&shop).await;
    let id = text(&order, "id");
    let page = format!("/orders/{id}");
    let sql = shop.database.connect().await.unwrap();
    let trace = "SELECT split_part(trace_context->>'traceparent', '-', 2) FROM orders WHERE id::text = $1";
    let trace: String = sql.query_one(trace, &[&id]).await.unwrap().get(0);

    let operator = operator(&shop).await;
    for wanted in [id, text(&order, "payment_id"), &trace] {
        operator.opens("/").await;
        operator.searches(wanted).await;
        operator.is_at(&page).await;
    }
    operator.sees("1,228.50 EUR").await;
    operator.sees("Tea, Darjeeling, 100 g").await;
    operator.sees(text(&order, "payment_id")).await;
    operator.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customers_orders_are_found_by_the_customer() {
    let shop = Shop::open().await;
    let (first, second) = (charged(&shop).await, charged(&shop).await);
    let sql = shop.database.connect().await.unwrap();
    sql.batch_execute("UPDATE orders SET customer = 'ada'")
        .await
        .unwrap();
    charged(&shop).await;

    let operator = operator(&shop).await;
    operator.opens("/").await;
    operator.searches("ada").await;
    operator.is_at("/orders?customer=ada").await;
    assert_eq!(operator.ids().await, [text(&second, "id"), text(&first, "id")]);
    operator.searches("no such thing").await;
    operator
        .sees("No order, payment, trace or customer has this id.")
        .await;
    assert_eq!(operator.ids().await, [""; 0]);
    operator.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_reads_why_an_order_failed_and_retries_it() {
    let shop = Shop::open().await;
    let order = declined(&shop).await;
    let id = text(&order, "id");

    let operator = operator(&shop).await;
    operator.opens("/failures").await;
    operator.sees("card_declined").await;
    operator.opens("/orders?status=failed").await;
    operator
        .clicks_at(&format!("//main//a[@href='/orders/{id}']"))
        .await;
    operator.sees("The bank declined the charge.").await;
    for transition in ["Created", "Processing, attempt 1", "Failed: card_declined"] {
        operator.sees(transition).await;
    }
    operator.clicks("Retry").await;
    operator.confirms("Retry").await;
    operator.sees("Retried by an operator").await;
    operator.sees("Processing, attempt 2").await;
    operator.sees("operator:anonymous").await;
    operator.leaves().await;
    assert_eq!(shop.final_order(id).await["attempt"], 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_cancels_an_order_that_waits_for_the_gateway() {
    let mut shop = Shop::open().await;
    let id = waiting(&shop).await;
    // An order cannot be cancelled during an attempt: the next one would come at any moment.
    shop.stack.stop(Service::Worker).await.unwrap();

    let operator = operator(&shop).await;
    operator.opens(&format!("/orders/{id}")).await;
    operator.sees("Waiting for the gateway").await;
    operator.clicks("Cancel").await;
    operator.confirms("Cancel").await;
    operator.sees("Cancelled operator:anonymous").await;
    operator.leaves().await;
    assert_eq!(shop.final_order(&id).await["status"], "cancelled");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_page_shows_transitions_as_they_happen() {
    let shop = Shop::open().await;
    let id = waiting(&shop).await;
    let operator = operator(&shop).await;
    operator.opens(&format!("/orders/{id}")).await;
    operator.runs("window.loaded = 'once'").await;
    shop.gateway_faults(&json!({})).await;
    operator.sees("Completed and charged").await;
    assert_eq!(operator.runs("return window.loaded").await, "once");
    operator.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_in_which_a_click_has_begun_changes_after_the_click() {
    let shop = Shop::open().await;
    let id = waiting(&shop).await;
    let operator = operator(&shop).await;
    operator.opens(&format!("/orders/{id}")).await;
    let press = "window.control = document.querySelector('#order-head [data-copy]');
        window.point = type => control.dispatchEvent(new PointerEvent(type, { bubbles: true }));
        point('pointerdown');";
    operator.runs(press).await;
    shop.gateway_faults(&json!({})).await;
    operator.sees("Completed and charged").await;
    assert_eq!(operator.runs("return control.isConnected").await, true);
    operator.runs("point('pointerup')").await;
    let replaced =
        "return control.isConnected ? null : document.querySelector('[data-testid=status]').innerText";
    assert_eq!(operator.finds("the new state", replaced).await, "completed");
    operator.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_are_in_the_address_and_survive_the_back_button() {
    let shop = Shop::open().await;
    let failed = declined(&shop).await;
    let completed = charged(&shop).await;

    let operator = operator(&shop).await;
    operator.opens("/orders").await;
    assert_eq!(
        operator.ids().await,
        [text(&completed, "id"), text(&failed, "id")]
    );
    operator
        .opens("/orders?status=failed&failure_code=card_declined")
        .await;
    assert_eq!(operator.ids().await, [text(&failed, "id")]);
    operator
        .clicks_at("//main//a[starts-with(@href, '/orders/')]")
        .await;
    operator.is_at(&format!("/orders/{}", text(&failed, "id"))).await;
    operator.goes_back().await;
    operator
        .is_at("/orders?status=failed&failure_code=card_declined")
        .await;
    assert_eq!(operator.ids().await, [text(&failed, "id")]);
    operator.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_orders_are_paged_without_gaps() {
    const ORDERS: usize = 130;
    let shop = Shop::open().await;
    super::seed::outage(&shop.database, i32::try_from(ORDERS).unwrap()).await;

    let operator = operator(&shop).await;
    operator.opens("/orders").await;
    let mut seen = operator.ids().await;
    while operator
        .runs("return document.querySelector('a[rel=next]') !== null")
        .await
        == true
    {
        let before = operator.path().await;
        operator.clicks_at("//a[@rel='next']").await;
        operator.has_left(&before).await;
        seen.extend(operator.ids().await);
    }
    let newest_first = seen.iter().rev().is_sorted();
    seen.dedup();
    assert_eq!((seen.len(), newest_first), (ORDERS, true));
    let last = operator.path().await;
    operator.clicks_at("//th[@aria-sort]/a").await;
    operator.has_left(&last).await;
    let oldest_first = operator.ids().await;
    assert!(
        oldest_first.iter().eq(seen.iter().rev().take(oldest_first.len())),
        "{oldest_first:?}"
    );
    operator.leaves().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_and_right_to_left_text_breaks_no_page() {
    let shop = Shop::open().await;
    let mut body = teapot();
    body["items"][0]["product_name"] = json!("ثلاجة ".repeat(20).trim());
    body["items"][1]["product_name"] = json!("W".repeat(200));
    body["items"][1]["quantity"] = json!(100_000);
    let id = shop.order(&body).await;
    shop.final_order(&id).await;

    let operator = operator(&shop).await;
    operator.uses(PHONE).await;
    operator.opens(&format!("/orders/{id}")).await;
    operator.sees("951,200.00 EUR").await;
    let obstacles = operator.finds_obstacles().await;
    assert!(obstacles.is_empty(), "{}", obstacles.join("\n"));
    operator.leaves().await;
}

//! The guided walk, step by step.

use testkit::Key;

use super::stack::LocalStack;

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_kills_a_worker_in_mid_charge_and_opens_the_trace_of_an_order_that_was_charged_once() {
    let stack = LocalStack::up().await;
    let newcomer = stack.visitor().await;
    newcomer.clicks("Guided walk: kill a worker in mid-charge").await;
    newcomer.clicks("1. Create orders").await;
    newcomer.sees("In mid-charge at this moment: worker").await;
    newcomer.clicks("2. Kill a worker in mid-charge").await;
    newcomer.sees("with SIGKILL at").await;
    newcomer.sees("killed by you").await;
    newcomer.sees("its lease ended: due again").await;
    newcomer.sees("The order survived, charged once.").await;
    newcomer.sees("completed after attempt 2").await;

    let order = "return document.querySelector('#walk a.id').innerText";
    let order = newcomer.runs(order).await;
    assert_eq!(stack.charges(order.as_str().unwrap()).await, 1, "{order}");
    for promise in ["Lost", "Charged twice", "Unsettled", "Stuck"] {
        let number = format!("return document.querySelector('[data-testid=\"{promise}\"]').innerText");
        assert_eq!(newcomer.runs(&number).await, "0", "{promise}");
    }

    newcomer.clicks("3. Open its trace").await;
    newcomer.sees("POST /api/orders").await;
    newcomer.sees("throughline-gateway").await;
    let host = newcomer.runs("return location.origin").await;
    assert_eq!(host, stack.lens.as_str());
    newcomer.clicks("System").await;
    newcomer.sees("The order survived, charged once.").await;
    newcomer
        .clicks_at("//*[@id='walk']//button[contains(., 'and end the walk')]")
        .await;
    newcomer.sees("7 running").await;
    newcomer.no_longer_sees("The order survived").await;
    newcomer.sees("No orders are sent").await;
    newcomer.leaves().await;
    stack.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_keyboard_alone_sets_the_load_and_kills_a_process() {
    let stack = LocalStack::up().await;
    let person = stack.visitor().await;
    person.focuses("#rate").await;
    person.presses(Key::Right).await;
    person.sees("10 orders/s are sent").await;
    person.focuses("tr[data-part=redis] button[value=kill]").await;
    person.presses(Key::Enter).await;
    person.sees("killed by you").await;
    person.clicks("Start Redis").await;
    person.sees("7 running").await;
    person.focuses("#rate").await;
    person.presses(Key::Home).await;
    person.sees("No orders are sent").await;
    person.leaves().await;
    stack.down().await;
}

//! Attempts against the payment sandbox, with faults at every step.

use std::time::{Duration, Instant};

use domain::{FailureCode, Order, OrderStatus, PaymentMethod, PaymentStatus, TraceContext};
use serde_json::json;
use store::Claim;

use crate::lease::Lease;
use crate::outcome::Stop;
use crate::payment::Payment;
use crate::shop::{MINUTE, Shop, delivery, failure};

#[tokio::test]
async fn an_order_is_charged_with_two_requests() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    let order = shop.attempt(&order).await;
    assert_eq!(shop.requests().await, 2);
    shop.assert_charged_once(&order).await;
}

/// Each response and each request is lost once.
#[tokio::test]
async fn a_request_that_was_lost_at_any_step_charges_once() {
    let shop = Shop::open().await;
    for on in ["create", "confirm"] {
        for fault in ["drop_before_rate", "drop_after_rate", "hang_rate", "error_rate"] {
            let order = shop.order().await;
            shop.faults(json!({ fault: 1.0, "on": on, "times": 1 })).await;
            let waiting = shop.attempt(&order).await;
            shop.assert_waits(&waiting);
            assert_eq!(waiting.payment_id.is_some(), on == "confirm", "{fault} on {on}");
            let order = shop.attempt(&order).await;
            shop.assert_charged_once(&order).await;
        }
    }
}

#[tokio::test]
async fn an_error_after_the_charge_is_found_to_be_a_charge() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    shop.faults(json!({ "error_after_charge_rate": 1.0 })).await;
    let waiting = shop.attempt(&order).await;
    shop.assert_waits(&waiting);
    let requests = shop.requests().await;
    let order = shop.attempt(&order).await;
    assert_eq!(shop.requests().await - requests, 1, "only the intent is read");
    shop.assert_charged_once(&order).await;
}

#[tokio::test]
async fn a_charge_is_not_repeated_after_the_gateway_forgot_its_key() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    shop.faults(json!({ "drop_after_rate": 1.0, "on": "confirm" }))
        .await;
    shop.attempt(&order).await;
    shop.faults(json!({ "forget_keys": true })).await;
    let order = shop.attempt(&order).await;
    shop.assert_charged_once(&order).await;
}

#[tokio::test]
async fn a_payment_that_is_processing_is_waited_for() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    shop.faults(json!({ "processing_ms": 300 })).await;
    let waiting = shop.attempt(&order).await;
    shop.assert_waits(&waiting);
    let order = testkit::eventually("the end of the payment", MINUTE, || async {
        let order = shop.attempt(&order).await;
        (order.status == OrderStatus::Completed).then_some(order)
    });
    shop.assert_charged_once(&order.await).await;
}

#[tokio::test]
async fn a_gateway_that_rejects_the_services_key_lets_orders_wait_and_gets_one_request() {
    let shop = Shop::open_with("pk_test_no_secret_key").await;
    let orders = [shop.order().await, shop.order().await, shop.order().await];
    for order in &orders {
        let waiting = shop.attempt(order).await;
        shop.assert_waits(&waiting);
        assert_eq!(failure(&waiting), FailureCode::PaymentUnavailable);
        assert!(!waiting.failure.unwrap().detail.contains("key"));
    }
    assert_eq!(shop.requests().await, 1);
}

#[tokio::test]
async fn a_429_lets_orders_wait_for_its_retry_after() {
    let shop = Shop::open().await;
    shop.faults(json!({ "rate_limit_per_second": 1 })).await;
    let (order, next) = (shop.order().await, shop.order().await);
    let waiting = shop.attempt(&order).await;
    shop.assert_waits(&waiting);
    let requests = shop.requests().await;
    let paused = shop.attempt(&next).await;
    shop.assert_waits(&paused);
    assert_eq!(shop.requests().await, requests);
    shop.faults(json!({})).await;
    let order = testkit::eventually("the charge", MINUTE, || async {
        let order = shop.attempt(&order).await;
        (order.status == OrderStatus::Completed).then_some(order)
    });
    shop.assert_charged_once(&order.await).await;
}

/// The first attempt loses its lease while its confirmation is on the way.
#[tokio::test]
async fn attempts_that_overlap_charge_once() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    shop.faults(json!({ "latency_ms": 400 })).await;
    let first = shop.processor.process(delivery(order.next_job()));
    let second = async {
        testkit::eventually("the intent", MINUTE, || async {
            shop.read(&order).await.payment_id
        })
        .await;
        shop.update(&order, "dispatch_after = now()").await;
        shop.attempt(&order).await
    };
    let ((), order) = tokio::join!(first, second);
    assert_eq!(order.attempt.number(), 2);
    let order = testkit::eventually("the outcome", MINUTE, || async {
        let order = shop.read(&order).await;
        match order.status {
            OrderStatus::Pending => Some(shop.attempt(&order).await),
            _ => Some(order),
        }
        .filter(|order| order.status.is_final())
    })
    .await;
    shop.assert_charged_once(&order).await;
    assert_eq!(shop.intents(&order).await.len(), 1);
}

#[tokio::test]
async fn a_declined_card_fails_the_order_and_its_intent_is_cancelled() {
    let shop = Shop::open().await;
    let order = shop.order_with("pm_card_chargeDeclined").await;
    let order = shop.attempt(&order).await;
    assert_eq!(order.status, OrderStatus::Failed);
    assert_eq!(order.payment_status, PaymentStatus::Refused);
    assert_eq!(failure(&order), FailureCode::CardDeclined);
    assert_eq!(shop.intents(&order).await, ["canceled"]);
}

/// Otherwise a worker that was paused could confirm the intent again, with more money on the card.
#[tokio::test]
async fn a_declined_order_waits_until_its_intent_is_cancelled() {
    let shop = Shop::open().await;
    let order = shop.order_with("pm_card_chargeDeclined").await;
    shop.faults(json!({ "drop_before_rate": 1.0, "on": "cancel" }))
        .await;
    let waiting = shop.attempt(&order).await;
    shop.assert_waits(&waiting);
    shop.faults(json!({})).await;
    let order = shop.attempt(&order).await;
    assert_eq!(order.status, OrderStatus::Failed);
    assert_eq!(order.payment_status, PaymentStatus::Refused);
    assert_eq!(shop.intents(&order).await, ["canceled"]);
}

/// An order whose intent was created, and whose confirmation failed as `fault` says.
async fn unconfirmed(shop: &Shop, fault: &str) -> Order {
    let order = shop.order().await;
    shop.faults(json!({ fault: 1.0, "on": "confirm" })).await;
    let waiting = shop.attempt(&order).await;
    shop.assert_waits(&waiting);
    shop.faults(json!({})).await;
    waiting
}

#[tokio::test]
async fn after_the_deadline_an_order_fails_and_its_intent_is_cancelled_first() {
    let shop = Shop::open().await;
    let order = unconfirmed(&shop, "drop_before_rate").await;
    shop.update(&order, "waiting_since = now() - interval '2 h'")
        .await;
    shop.faults(json!({ "error_rate": 1.0, "on": "cancel", "times": 1 }))
        .await;
    let unsettled = shop.attempt(&order).await;
    shop.assert_waits(&unsettled);
    let order = shop.attempt(&order).await;
    assert_eq!(order.status, OrderStatus::Failed);
    assert_eq!(order.payment_status, PaymentStatus::Cancelled);
    assert_eq!(failure(&order), FailureCode::PaymentDeadline);
    assert_eq!(shop.intents(&order).await, ["canceled"]);
}

#[tokio::test]
async fn an_order_that_was_charged_completes_after_its_deadline() {
    let shop = Shop::open().await;
    let order = unconfirmed(&shop, "drop_after_rate").await;
    shop.update(&order, "waiting_since = now() - interval '2 h'")
        .await;
    let order = shop.attempt(&order).await;
    shop.assert_charged_once(&order).await;
}

#[tokio::test]
async fn an_order_without_an_intent_fails_at_its_deadline_without_the_gateway() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    shop.faults(json!({ "drop_before_rate": 1.0 })).await;
    shop.attempt(&order).await;
    shop.update(&order, "waiting_since = now() - interval '2 h'")
        .await;
    let requests = shop.requests().await;
    let order = shop.attempt(&order).await;
    assert_eq!(order.status, OrderStatus::Failed);
    assert_eq!(order.payment_status, PaymentStatus::Cancelled);
    assert_eq!(failure(&order), FailureCode::PaymentDeadline);
    assert_eq!(shop.requests().await, requests);
}

#[tokio::test]
async fn an_order_whose_workers_crashed_too_often_is_not_processed_and_its_intent_is_cancelled() {
    let shop = Shop::open().await;
    let order = unconfirmed(&shop, "drop_before_rate").await;
    shop.update(&order, "crashes = 3").await;
    let order = shop.attempt(&order).await;
    assert_eq!(order.status, OrderStatus::Failed);
    assert_eq!(order.payment_status, PaymentStatus::Cancelled);
    assert_eq!(failure(&order), FailureCode::WorkerCrashed);
    assert_eq!(shop.intents(&order).await, ["canceled"]);
}

#[tokio::test]
async fn the_last_attempt_before_worker_crashed_runs_alone() {
    let shop = Shop::open().await;
    let (other, suspect) = (shop.order().await, shop.order().await);
    shop.update(&suspect, "crashes = 2").await;
    shop.faults(json!({ "latency_ms": 300 })).await;
    let (other, suspect) = tokio::join!(shop.attempt(&other), async {
        testkit::eventually("the other attempt", MINUTE, || async {
            (shop.read(&other).await.status == OrderStatus::Processing).then_some(())
        })
        .await;
        shop.attempt(&suspect).await
    });
    let (other, suspect) = (other.completed_at.unwrap(), suspect);
    shop.assert_charged_once(&suspect).await;
    let took = suspect.completed_at.unwrap() - other;
    assert!(
        took.num_milliseconds() >= 550,
        "two requests after the other order: {took}"
    );
}

/// Release 0.1 charged in one step, and its response was lost.
#[tokio::test]
async fn a_charge_of_release_0_1_is_found_and_not_repeated() {
    let shop = Shop::open().await;
    for fault in ["none", "drop_after_charge_rate", "error_after_charge_rate"] {
        let order = shop.order().await;
        if fault != "none" {
            shop.faults(json!({ fault: 1.0 })).await;
        }
        shop.charge_in_one_step(&order).await;
        shop.faults(json!({})).await;
        let order = shop.attempt(&order).await;
        shop.assert_charged_once(&order).await;
    }
}

#[tokio::test]
async fn an_error_that_release_0_1_got_without_a_charge_is_followed_by_one_charge() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    shop.faults(json!({ "error_rate": 1.0 })).await;
    shop.charge_in_one_step(&order).await;
    shop.faults(json!({})).await;
    let order = shop.attempt(&order).await;
    shop.assert_charged_once(&order).await;
}

#[tokio::test]
async fn a_card_that_release_0_1_found_declined_stays_declined() {
    let shop = Shop::open().await;
    let order = shop.order_with("pm_card_chargeDeclined").await;
    shop.charge_in_one_step(&order).await;
    let order = shop.attempt(&order).await;
    assert_eq!(order.status, OrderStatus::Failed);
    assert_eq!(order.payment_status, PaymentStatus::Refused);
    assert_eq!(shop.intents(&order).await, ["canceled"]);
}

/// The gateway has forgotten the key: its list has not forgotten the charge.
#[tokio::test]
async fn a_charge_of_release_0_1_is_found_after_a_day() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    shop.charge_in_one_step(&order).await;
    shop.faults(json!({ "forget_keys": true })).await;
    shop.update(&order, "created_at = created_at - interval '25 h', attempt = 1")
        .await;
    let order = shop.attempt(&order).await;
    shop.assert_charged_once(&order).await;
}

#[tokio::test]
async fn an_order_that_fails_for_another_reason_is_retried_and_then_fails() {
    let shop = Shop::open().await;
    let order = unconfirmed(&shop, "drop_before_rate").await;
    shop.update(&order, "payment_id = 'pi_of_another_account'").await;
    for attempt in 1..=2 {
        let retried = shop.attempt(&order).await;
        assert_eq!(retried.status, OrderStatus::Pending);
        assert_eq!(retried.attempts_counted(), attempt);
        assert!(retried.waiting_since.is_none());
    }
    let order = shop.attempt(&order).await;
    assert_eq!(order.status, OrderStatus::Failed);
    assert_eq!(order.payment_status, PaymentStatus::Cancelled);
}

#[tokio::test]
async fn an_order_that_this_version_cannot_read_is_left_to_another_version() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    let row = || async {
        let query = "SELECT status, attempt, attempts_forgiven, completed_at IS NULL FROM orders";
        let row = shop.sql.query_one(query, &[]).await.unwrap();
        (
            row.get::<_, String>(0),
            row.get::<_, i32>(1),
            row.get::<_, i32>(2),
            row.get::<_, bool>(3),
        )
    };
    let job = order.next_job();
    shop.update(&order, r#"items = '[{"of":"tomorrow"}]'"#).await;
    shop.processor.process(delivery(job)).await;
    assert_eq!(row().await, ("pending".to_owned(), 1, 1, true));
    assert_eq!(shop.requests().await, 0);
}

/// A worker claims the order, is paused, and has lost the order meanwhile.
pub(super) async fn paused_payment(shop: &Shop, order: &Order, pause: Duration) -> Result<String, Stop> {
    let store = &shop.processor.store;
    let (job, trace) = (shop.read(order).await.next_job(), TraceContext::default());
    let claim = Claim::of(&job);
    let claimed = store.claim(&job, claim, "worker-1", &trace, MINUTE).await;
    let order = &claimed.unwrap().unwrap();
    shop.update(order, "status = 'pending'").await;
    let lease = &Lease::new(store, claim, MINUTE, Instant::now() - pause);
    let payment = Payment::new(shop.processor.gateway.as_ref(), store, order, lease);
    payment.process(PaymentMethod::CreditCard).await
}

#[tokio::test]
async fn a_worker_that_was_paused_past_its_lease_neither_creates_nor_confirms_an_intent() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    let paused = MINUTE * 2;
    assert_eq!(paused_payment(&shop, &order, paused).await, Err(Stop::LeaseLost));
    assert_eq!(shop.requests().await, 0);

    let order = unconfirmed(&shop, "drop_before_rate").await;
    let requests = shop.requests().await;
    assert_eq!(paused_payment(&shop, &order, paused).await, Err(Stop::LeaseLost));
    assert_eq!(shop.requests().await - requests, 1, "only the intent is read");
    assert_eq!(shop.intents(&order).await, ["requires_confirmation"]);
}

#[tokio::test]
async fn an_order_that_was_fetched_before_a_pause_is_not_claimed_and_is_due_at_its_end() {
    let shop = Shop::open().await;
    let order = shop.order().await;
    shop.processor.pause.set(true);
    shop.processor.process(delivery(order.next_job())).await;
    let left = shop.read(&order).await;
    assert_eq!((left.status, left.attempt.number()), (OrderStatus::Pending, 0));
    let due = shop.processor.store.take_due(10).await.unwrap();
    assert_eq!(due.iter().map(|due| due.id).collect::<Vec<_>>(), [order.id]);
    shop.processor.pause.set(false);
    shop.processor.process(delivery(order.next_job())).await;
    shop.assert_charged_once(&shop.read(&order).await).await;
}

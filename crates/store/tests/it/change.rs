//! Cancelling and retrying.

use domain::{CustomerId, Failure, FailureCode, OrderId, OrderStatus, PaymentStatus};
use throughline_store::{Changed, ClaimToken};

use crate::setup::{Fixture, MINUTE, attempt, customer};

#[tokio::test]
async fn a_pending_order_is_cancelled_once() {
    let fixture = Fixture::new().await;
    let order = fixture.paid_order().await;
    let Changed::Done(cancelled) = fixture.store.cancel(order.id, Some(&customer())).await.unwrap() else {
        panic!("not cancelled")
    };
    assert_eq!(cancelled.status, OrderStatus::Cancelled);
    assert!(cancelled.completed_at.is_some());
    assert_eq!(fixture.due_in(order.id).await, None);

    let Changed::Impossible(impossible) = fixture.store.cancel(order.id, None).await.unwrap() else {
        panic!("cancelled twice")
    };
    assert_eq!(impossible.to_string(), "a cancelled order cannot be cancelled");
}

#[tokio::test]
async fn another_customers_order_is_not_found_when_cancelled() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    let other = CustomerId::new("bob").unwrap();
    for id in [order.id, OrderId::generate()] {
        let result = fixture.store.cancel(id, Some(&other)).await.unwrap();
        assert!(matches!(result, Changed::NotFound), "{result:?}");
    }
    assert_eq!(fixture.find(order.id).await.status, OrderStatus::Pending);
}

#[tokio::test]
async fn an_order_that_may_have_been_charged_is_not_cancelled() {
    let fixture = Fixture::new().await;
    let order = fixture.paid_order().await;
    fixture.claim(&order).await;
    // Its worker died, possibly after the charge.
    fixture.make_due(order.id).await;
    fixture.store.take_due(10).await.unwrap();
    assert_eq!(fixture.find(order.id).await.status, OrderStatus::Pending);

    let Changed::Impossible(impossible) = fixture.store.cancel(order.id, None).await.unwrap() else {
        panic!("cancelled")
    };
    assert_eq!(
        impossible.to_string(),
        "a pending order cannot be cancelled once a payment was tried"
    );
}

#[tokio::test]
async fn an_order_without_a_payment_is_cancelled_between_attempts() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    fixture.claim(&order).await;
    fixture.store.release(order.id, attempt(1)).await.unwrap();
    let cancelled = fixture.store.cancel(order.id, None).await.unwrap();
    assert!(matches!(cancelled, Changed::Done(_)), "{cancelled:?}");
}

#[tokio::test]
async fn a_retried_order_is_due_at_once_with_all_its_attempts() {
    let fixture = Fixture::new().await;
    let order = fixture.paid_order().await;
    fixture.claim(&order).await;
    let declined = Failure::new(FailureCode::CardDeclined, "Your card was declined.");
    fixture
        .store
        .fail(order.id, attempt(1), &declined, true)
        .await
        .unwrap()
        .unwrap();

    let Changed::Done(retried) = fixture.store.retry(order.id).await.unwrap() else {
        panic!("not retried")
    };
    assert_eq!(retried.status, OrderStatus::Pending);
    assert_eq!(retried.payment_status, PaymentStatus::Pending);
    assert_eq!((retried.attempt, retried.attempts_counted()), (attempt(1), 0));
    assert_eq!((retried.failure, retried.completed_at), (Some(declined), None));
    let due = fixture.store.take_due(10).await.unwrap();
    assert_eq!(due[0].attempt, attempt(1));
    let job = due[0].clone().into_job();
    assert_eq!(
        fixture
            .store
            .claim(&job, ClaimToken::draw(), &order.trace, MINUTE)
            .await
            .unwrap()
            .unwrap()
            .attempts_counted(),
        1
    );
}

#[tokio::test]
async fn a_retried_order_has_another_charge_key_only_if_its_payment_was_declined() {
    for (declined, code) in [
        (true, FailureCode::CardDeclined),
        (false, FailureCode::PaymentTimeout),
    ] {
        let fixture = Fixture::new().await;
        let order = fixture.paid_order().await;
        fixture.claim(&order).await;
        let failure = Failure::new(code, "It failed.");
        let failed = fixture.store.fail(order.id, attempt(1), &failure, declined);
        failed.await.unwrap().unwrap();
        let Changed::Done(retried) = fixture.store.retry(order.id).await.unwrap() else {
            panic!("not retried")
        };
        assert_eq!(retried.charge_key() != order.charge_key(), declined);
    }
}

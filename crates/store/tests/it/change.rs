//! Cancelling and retrying.

use domain::{CustomerId, Failure, FailureCode, OrderId, OrderStatus, PaymentStatus};
use throughline_store::{Changed, Settlement};

use crate::setup::{Fixture, MINUTE, attempt, claim_by, claim_of, customer, operator};

#[tokio::test]
async fn a_pending_order_is_cancelled_once() {
    let fixture = Fixture::new().await;
    let order = fixture.paid_order().await;
    fixture.update(order.id, "payment_token = 'pm_1'").await;
    let Changed::Done(cancelled) = fixture
        .store
        .cancel(order.id, Some(&customer()), &operator())
        .await
        .unwrap()
    else {
        panic!("not cancelled")
    };
    assert_eq!(cancelled.status, OrderStatus::Cancelled);
    assert_eq!(cancelled.payment_status, PaymentStatus::Cancelled);
    assert_eq!(fixture.token(order.id).await, None);
    assert!(cancelled.completed_at.is_some());
    assert_eq!(fixture.due_in(order.id).await, None);

    let Changed::Impossible(impossible) = fixture.store.cancel(order.id, None, &operator()).await.unwrap()
    else {
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
        let result = fixture.store.cancel(id, Some(&other), &operator()).await.unwrap();
        assert!(matches!(result, Changed::NotFound), "{result:?}");
    }
    assert_eq!(fixture.find(order.id).await.status, OrderStatus::Pending);
}

#[tokio::test]
async fn an_order_that_may_be_charged_is_not_cancelled() {
    let fixture = Fixture::new().await;
    let (at_gateway, of_old_release) = (fixture.paid_order().await, fixture.paid_order().await);
    for order in [&at_gateway, &of_old_release] {
        fixture.claim(order).await;
    }
    let recorded = fixture
        .store
        .record_intent(claim_of(at_gateway.id, attempt(1)), "pi_1")
        .await;
    assert!(recorded.unwrap());
    // Release 0.1 claims without this column, and charges before it stores the payment's id.
    fixture.update(of_old_release.id, "attempts_two_step = 0").await;
    for order in [at_gateway, of_old_release] {
        // Its worker died.
        fixture.make_due(order.id).await;
        fixture.store.take_due(10).await.unwrap();
        let Changed::Impossible(impossible) =
            fixture.store.cancel(order.id, None, &operator()).await.unwrap()
        else {
            panic!("cancelled")
        };
        assert_eq!(
            impossible.to_string(),
            "a pending order cannot be cancelled once a payment was tried"
        );
    }
}

#[tokio::test]
async fn an_attempted_order_without_a_payment_at_the_gateway_is_cancelled() {
    let fixture = Fixture::new().await;
    let order = fixture.paid_order().await;
    fixture.claim(&order).await;
    fixture
        .store
        .release(claim_of(order.id, attempt(1)))
        .await
        .unwrap();
    let Changed::Done(cancelled) = fixture.store.cancel(order.id, None, &operator()).await.unwrap() else {
        panic!("not cancelled")
    };
    assert_eq!(cancelled.payment_status, PaymentStatus::Cancelled);
}

#[tokio::test]
async fn an_order_without_a_payment_is_cancelled_between_attempts() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    fixture.claim(&order).await;
    fixture
        .store
        .release(claim_of(order.id, attempt(1)))
        .await
        .unwrap();
    let cancelled = fixture.store.cancel(order.id, None, &operator()).await.unwrap();
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
        .fail(claim_of(order.id, attempt(1)), &declined, Settlement::Refused)
        .await
        .unwrap()
        .unwrap();

    let Changed::Done(retried) = fixture.store.retry(order.id, &operator()).await.unwrap() else {
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
            .claim(&job, claim_by(&job), "worker-1", &order.trace, MINUTE)
            .await
            .unwrap()
            .unwrap()
            .attempts_counted(),
        1
    );
}

#[tokio::test]
async fn a_retried_order_gets_another_payment_unless_it_is_charged() {
    for settlement in [Settlement::Refused, Settlement::Cancelled] {
        let fixture = Fixture::new().await;
        let order = fixture.paid_order().await;
        fixture.claim(&order).await;
        fixture
            .store
            .record_intent(claim_of(order.id, attempt(1)), "pi_1")
            .await
            .unwrap();
        let failure = Failure::new(FailureCode::PaymentDeadline, "It failed.");
        let failed = fixture
            .store
            .fail(claim_of(order.id, attempt(1)), &failure, settlement);
        let failed = failed.await.unwrap().unwrap();
        assert_eq!(failed.payment_id.as_deref(), Some("pi_1"));
        let Changed::Done(retried) = fixture.store.retry(order.id, &operator()).await.unwrap() else {
            panic!("not retried")
        };
        assert_eq!(
            (retried.payment_status, retried.payment_id.as_deref()),
            (PaymentStatus::Pending, None)
        );
        assert_ne!(retried.charge_key(), order.charge_key());
    }
}

/// Release 0.1 failed it although it was charged, and its payment was settled afterwards.
#[tokio::test]
async fn a_retried_order_that_is_charged_is_completed_without_another_payment() {
    let fixture = Fixture::new().await;
    let order = fixture.paid_order().await;
    fixture.put_into(order.id, OrderStatus::Failed).await;
    fixture
        .update(order.id, "payment_status = 'charged', payment_id = 'pi_1'")
        .await;
    let Changed::Done(retried) = fixture.store.retry(order.id, &operator()).await.unwrap() else {
        panic!("not retried")
    };
    assert_eq!(retried.payment_status, PaymentStatus::Charged);
    let claimed = fixture.claim(&retried).await;
    let completed = fixture
        .store
        .complete(claim_of(order.id, claimed.attempt), None)
        .await;
    let completed = completed.unwrap().unwrap();
    assert_eq!(
        (completed.payment_status, completed.payment_id.as_deref()),
        (PaymentStatus::Charged, Some("pi_1"))
    );
}

//! Final orders of release 0.1, whose payments were left pending, are settled afterwards.

use domain::{OrderStatus, PaymentStatus};
use throughline_store::{Changed, Settlement, StoreError};

use crate::setup::{Fixture, operator};

/// Orders as release 0.1 left them: final with a pending payment. The schema no longer lets one be written.
pub(crate) async fn unsettled(fixture: &Fixture, statuses: &[OrderStatus]) -> Vec<domain::OrderId> {
    let (drop, add) = (
        "ALTER TABLE orders DROP CONSTRAINT orders_final_is_settled;",
        "ALTER TABLE orders ADD CONSTRAINT orders_final_is_settled \
         CHECK (payment_status <> 'pending' OR status IN ('pending', 'processing')) NOT VALID;",
    );
    fixture.sql.batch_execute(drop).await.unwrap();
    let mut ids = Vec::new();
    for status in statuses {
        let id = fixture.paid_order().await.id;
        fixture.put_into(id, *status).await;
        fixture
            .update(id, "payment_status = 'pending', attempt = 1")
            .await;
        ids.push(id);
    }
    fixture.sql.batch_execute(add).await.unwrap();
    ids
}

#[tokio::test]
async fn payments_that_release_0_1_left_pending_are_found_and_settled_once() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    fixture.paid_order().await;
    let ids = unsettled(
        &fixture,
        &[OrderStatus::Cancelled, OrderStatus::Failed, OrderStatus::Failed],
    )
    .await;
    let found = store.unsettled(None, 2).await.unwrap();
    let seen: Vec<_> = found.iter().map(|order| (order.id, order.cancelled)).collect();
    assert_eq!(seen, [(ids[0], true), (ids[1], false)]);
    assert!(found[0].created_at <= found[0].completed_at);
    let rest = store.unsettled(Some(ids[1]), 2).await.unwrap();
    assert_eq!(rest.iter().map(|order| order.id).collect::<Vec<_>>(), ids[2..]);

    assert!(store.settle(ids[0], Settlement::Cancelled, None).await.unwrap());
    assert!(
        store
            .settle(ids[1], Settlement::Charged, Some("pi_1"))
            .await
            .unwrap()
    );
    assert!(
        store
            .settle(ids[2], Settlement::Cancelled, Some("pi_2"))
            .await
            .unwrap()
    );
    assert!(
        !store.settle(ids[1], Settlement::Cancelled, None).await.unwrap(),
        "settled twice"
    );
    assert_eq!(store.unsettled(None, 10).await.unwrap(), []);
    let mut settled = Vec::new();
    for id in ids {
        let order = fixture.find(id).await;
        settled.push((
            order.status,
            order.payment_status,
            order.payment_id,
            order.payments_refused,
        ));
    }
    assert_eq!(
        settled,
        [
            (OrderStatus::Cancelled, PaymentStatus::Cancelled, None, 1),
            (
                OrderStatus::Failed,
                PaymentStatus::Charged,
                Some("pi_1".to_owned()),
                0
            ),
            (
                OrderStatus::Failed,
                PaymentStatus::Cancelled,
                Some("pi_2".to_owned()),
                1
            ),
        ]
    );
}

/// Meanwhile, its next attempt may charge it.
#[tokio::test]
async fn an_order_that_was_retried_is_not_settled() {
    let fixture = Fixture::new().await;
    let ids = unsettled(&fixture, &[OrderStatus::Failed]).await;
    let Changed::Done(retried) = fixture.store.retry(ids[0], &operator()).await.unwrap() else {
        panic!("not retried")
    };
    assert!(retried.may_have_unrecorded_charge());
    assert!(
        !fixture
            .store
            .settle(ids[0], Settlement::Cancelled, None)
            .await
            .unwrap()
    );
    assert_eq!(fixture.find(ids[0]).await.payment_status, PaymentStatus::Pending);
}

#[tokio::test]
async fn a_charge_without_an_id_is_an_error() {
    let fixture = Fixture::new().await;
    let ids = unsettled(&fixture, &[OrderStatus::Failed]).await;
    let error = fixture
        .store
        .settle(ids[0], Settlement::Charged, None)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Query(_)), "{error:?}");
}

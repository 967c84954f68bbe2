//! One worker at a time, and none that lost its lease writes.

use domain::{Failure, FailureCode, OrderStatus, PaymentStatus};
use throughline_store::{ClaimToken, StoreError};

use crate::setup::{Fixture, MINUTE, attempt, trace};

fn unavailable() -> Failure {
    Failure::new(FailureCode::PaymentUnavailable, "The gateway did not answer.")
}

#[tokio::test]
async fn of_many_claims_at_once_one_wins() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    let claims = (0..8).map(|_| {
        let (store, job) = (fixture.store.clone(), order.next_job());
        tokio::spawn(async move {
            store
                .claim(&job, ClaimToken::draw(), &trace(2), MINUTE)
                .await
                .unwrap()
        })
    });
    let mut won = Vec::new();
    for claim in claims.collect::<Vec<_>>() {
        won.extend(claim.await.unwrap());
    }
    assert_eq!(won.len(), 1);
    let claimed = &won[0].order;
    assert_eq!(
        (claimed.status, claimed.attempt),
        (OrderStatus::Processing, attempt(1))
    );
    assert_eq!(
        claimed.trace,
        trace(1),
        "the trace of the order stays that of its request"
    );
    let lease = fixture.due_in(order.id).await.unwrap();
    assert!((1.0..=60.0).contains(&lease), "{lease}");
}

#[tokio::test]
async fn a_job_of_an_attempt_that_there_was_claims_nothing() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    let first = order.next_job();
    fixture.claim(&order).await;
    fixture.store.release(order.id, attempt(1)).await.unwrap();
    assert!(
        fixture
            .store
            .claim(&first, ClaimToken::draw(), &trace(2), MINUTE)
            .await
            .unwrap()
            .is_none()
    );

    let released = fixture.find(order.id).await;
    assert_eq!(
        (released.status, released.attempt),
        (OrderStatus::Pending, attempt(1))
    );
    let mut skipping = released.next_job();
    skipping.attempt = skipping.attempt.next();
    assert!(
        fixture
            .store
            .claim(&skipping, ClaimToken::draw(), &trace(2), MINUTE)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(fixture.claim(&released).await.attempt, attempt(2));
}

#[tokio::test]
async fn an_order_is_taken_over_when_its_lease_has_ended_and_not_before() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    let claimed = fixture.claim(&order).await;
    let next = claimed.next_job();
    assert!(
        fixture
            .store
            .claim(&next, ClaimToken::draw(), &trace(3), MINUTE)
            .await
            .unwrap()
            .is_none()
    );
    fixture.make_due(order.id).await;
    let taken_over = fixture
        .store
        .claim(&next, ClaimToken::draw(), &trace(3), MINUTE)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(taken_over.order.attempt, attempt(2));
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_writes_nothing() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    fixture.claim(&order).await;
    fixture.make_due(order.id).await;
    let due = fixture.store.take_due(1).await.unwrap().remove(0);

    // Fenced out from the moment that the order was taken, and when another attempt holds it.
    for claimed in [false, true] {
        if claimed {
            let job = due.clone().into_job();
            fixture
                .store
                .claim(&job, ClaimToken::draw(), &trace(3), MINUTE)
                .await
                .unwrap()
                .unwrap();
        }
        let (store, id, old) = (&fixture.store, order.id, attempt(1));
        let before = format!("{:?}", fixture.find(id).await);
        assert!(!store.renew(id, old, MINUTE).await.unwrap());
        assert!(store.release(id, old).await.unwrap().is_none());
        assert!(store.complete(id, old, None).await.unwrap().is_none());
        assert!(
            store
                .fail(id, old, &unavailable(), false)
                .await
                .unwrap()
                .is_none()
        );
        assert!(
            store
                .retry_later(id, old, &unavailable(), MINUTE)
                .await
                .unwrap()
                .is_none()
        );
        assert_eq!(format!("{:?}", fixture.find(id).await), before);
    }
}

#[tokio::test]
async fn a_lease_is_renewed_from_now() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    fixture.claim(&order).await;
    // Late, but nobody took the order meanwhile.
    fixture.make_due(order.id).await;
    assert!(
        fixture
            .store
            .renew(order.id, attempt(1), MINUTE * 10)
            .await
            .unwrap()
    );
    let lease = fixture.due_in(order.id).await.unwrap();
    assert!((500.0..=600.0).contains(&lease), "{lease}");
}

#[tokio::test]
async fn a_charged_order_is_complete_with_its_charge() {
    let fixture = Fixture::new().await;
    let order = fixture.paid_order().await;
    fixture.claim(&order).await;
    fixture
        .store
        .retry_later(order.id, attempt(1), &unavailable(), MINUTE)
        .await
        .unwrap()
        .unwrap();
    let retried = fixture.find(order.id).await;
    assert_eq!(retried.failure, Some(unavailable()));
    fixture.claim(&retried).await;

    let completed = fixture
        .store
        .complete(order.id, attempt(2), Some("pi_1"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(completed.status, OrderStatus::Completed);
    assert_eq!(completed.payment_status, PaymentStatus::Charged);
    assert_eq!(completed.payment_id.as_deref(), Some("pi_1"));
    assert_eq!(completed.failure, None);
    assert!(completed.completed_at.is_some());
    assert_eq!(fixture.due_in(order.id).await, None);
}

#[tokio::test]
async fn a_payment_that_nobody_asked_for_or_made_is_an_error() {
    let fixture = Fixture::new().await;
    let (free, paid) = (fixture.order().await, fixture.paid_order().await);
    fixture.claim(&free).await;
    fixture.claim(&paid).await;
    for (id, payment) in [(free.id, Some("pi_1")), (paid.id, None)] {
        let error = fixture.store.complete(id, attempt(1), payment).await.unwrap_err();
        assert!(matches!(error, StoreError::Query(_)), "{error:?}");
    }
    let error = fixture
        .store
        .fail(free.id, attempt(1), &unavailable(), true)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Query(_)), "{error:?}");
}

#[tokio::test]
async fn a_refused_payment_fails_the_order_with_its_reason() {
    let fixture = Fixture::new().await;
    let order = fixture.paid_order().await;
    fixture.claim(&order).await;
    // A gateway may send anything; PostgreSQL takes no NUL.
    let declined = Failure::new(FailureCode::CardDeclined, "Insufficient\0funds.");
    let failed = fixture
        .store
        .fail(order.id, attempt(1), &declined, true)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (failed.status, failed.payment_status),
        (OrderStatus::Failed, PaymentStatus::Refused)
    );
    let detail = "Insufficient\u{FFFD}funds.";
    assert_eq!(
        failed.failure,
        Some(Failure::new(FailureCode::CardDeclined, detail))
    );
    assert!(failed.completed_at.is_some());
}

#[tokio::test]
async fn a_retry_waits_for_a_random_part_of_its_backoff() {
    let fixture = Fixture::new().await;
    let mut delays = Vec::new();
    for _ in 0..20 {
        let order = fixture.order().await;
        fixture.claim(&order).await;
        let retried = fixture
            .store
            .retry_later(order.id, attempt(1), &unavailable(), MINUTE * 60)
            .await;
        assert_eq!(retried.unwrap().unwrap().status, OrderStatus::Pending);
        delays.push(fixture.due_in(order.id).await.unwrap());
    }
    assert!(
        delays.iter().all(|delay| (-60.0..=3600.0).contains(delay)),
        "{delays:?}"
    );
    delays.sort_by(f64::total_cmp);
    assert!(delays[19] - delays[0] > 60.0, "{delays:?}");
}

/// The connection broke after PostgreSQL committed: whoever asks again has the order, and nobody else.
#[tokio::test]
async fn a_claim_whose_answer_was_lost_is_given_again_to_whoever_made_it() {
    let fixture = Fixture::new().await;
    let job = fixture.order().await.next_job();
    let token = ClaimToken::draw();
    let context = trace(2);
    let ask = |token| fixture.store.claim(&job, token, &context, MINUTE);
    let first = ask(token).await.unwrap().expect("the claim").order;
    let again = ask(token).await.unwrap().expect("the same claim").order;
    assert_eq!(again.attempt, first.attempt);
    assert!(ask(ClaimToken::draw()).await.unwrap().is_none());

    fixture
        .store
        .complete(first.id, first.attempt, None)
        .await
        .unwrap()
        .expect("the end");
    assert!(ask(token).await.unwrap().is_none(), "a final order was claimed");
}

/// As one that a newer version wrote.
#[tokio::test]
async fn an_order_that_cannot_be_read_is_claimed_only_to_be_ended() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    fixture.update(order.id, "items = '[1]'").await;
    let job = order.next_job();
    let context = trace(2);
    let claim = fixture.store.claim(&job, ClaimToken::draw(), &context, MINUTE);
    let error = claim.await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");

    let why = Failure::new(FailureCode::InternalError, "It cannot be read.");
    let (store, id) = (&fixture.store, order.id);
    assert!(!store.fail_unreadable(id, attempt(2), &why).await.unwrap());
    assert!(store.fail_unreadable(id, attempt(1), &why).await.unwrap());
    let row = fixture.sql.query_one(
        "SELECT status, failure_code, dispatch_after IS NULL FROM orders",
        &[],
    );
    let row = row.await.unwrap();
    assert_eq!(row.get::<_, &str>(0), "failed");
    assert_eq!(row.get::<_, &str>(1), "internal_error");
    assert!(row.get::<_, bool>(2), "it would fall due again");
}

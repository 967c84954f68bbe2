//! One worker at a time holds an order, and a worker that lost its lease writes nothing.

use domain::{Failure, FailureCode, OrderStatus, PaymentStatus};
use throughline_store::{ClaimToken, StoreError};

use crate::setup::{Fixture, MINUTE, attempt, trace};

fn unavailable() -> Failure {
    Failure::new(FailureCode::PaymentUnavailable, "No response from the gateway.")
}

#[tokio::test]
async fn of_concurrent_claims_one_wins() {
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
    let claimed = &won[0];
    assert_eq!(
        (claimed.status, claimed.attempt),
        (OrderStatus::Processing, attempt(1))
    );
    assert_eq!(
        claimed.trace,
        trace(1),
        "the order keeps the trace of its request"
    );
    let lease = fixture.due_in(order.id).await.unwrap();
    assert!((1.0..=60.0).contains(&lease), "{lease}");
}

#[tokio::test]
async fn a_job_of_an_earlier_attempt_claims_nothing() {
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
    assert_eq!(taken_over.attempt, attempt(2));
}

#[tokio::test]
async fn a_worker_that_lost_its_lease_writes_nothing() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    fixture.claim(&order).await;
    fixture.make_due(order.id).await;
    let due = fixture.store.take_due(1).await.unwrap().remove(0);

    // Fenced out as soon as a reconciler took the order, and while another attempt holds it.
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
                .back_off(id, old, &unavailable(), MINUTE)
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
    // Late, but no reconciler took the order in between.
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
async fn a_charged_order_is_completed_with_its_charge() {
    let fixture = Fixture::new().await;
    let order = fixture.paid_order().await;
    fixture.claim(&order).await;
    fixture
        .store
        .back_off(order.id, attempt(1), &unavailable(), MINUTE)
        .await
        .unwrap()
        .unwrap();
    let pending = fixture.find(order.id).await;
    assert_eq!(pending.failure, Some(unavailable()));
    fixture.claim(&pending).await;

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
async fn a_payment_that_does_not_match_the_payment_method_is_an_error() {
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
async fn a_declined_payment_fails_the_order_with_its_reason() {
    let fixture = Fixture::new().await;
    let order = fixture.paid_order().await;
    fixture.claim(&order).await;
    // A gateway may send any text; PostgreSQL cannot store NUL.
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
async fn the_backoff_has_full_jitter() {
    let fixture = Fixture::new().await;
    let mut delays = Vec::new();
    for _ in 0..20 {
        let order = fixture.order().await;
        fixture.claim(&order).await;
        let pending = fixture
            .store
            .back_off(order.id, attempt(1), &unavailable(), MINUTE * 60)
            .await;
        assert_eq!(pending.unwrap().unwrap().status, OrderStatus::Pending);
        delays.push(fixture.due_in(order.id).await.unwrap());
    }
    assert!(
        delays.iter().all(|delay| (-60.0..=3600.0).contains(delay)),
        "{delays:?}"
    );
    delays.sort_by(f64::total_cmp);
    assert!(delays[19] - delays[0] > 60.0, "{delays:?}");
}

/// The connection broke after PostgreSQL committed: repeating the claim with its token succeeds, and no other
/// claim does.
#[tokio::test]
async fn a_claim_whose_response_was_lost_can_be_repeated_with_its_token() {
    let fixture = Fixture::new().await;
    let job = fixture.order().await.next_job();
    let token = ClaimToken::draw();
    let context = trace(2);
    let claim = |token| fixture.store.claim(&job, token, &context, MINUTE);
    let first = claim(token).await.unwrap().expect("the claim");
    let again = claim(token).await.unwrap().expect("the same claim");
    assert_eq!(again.attempt, first.attempt);
    assert!(claim(ClaimToken::draw()).await.unwrap().is_none());

    fixture
        .store
        .complete(first.id, first.attempt, None)
        .await
        .unwrap()
        .expect("the end");
    assert!(claim(token).await.unwrap().is_none(), "a final order was claimed");
}

/// For example, a newer version of the program wrote it.
#[tokio::test]
async fn an_unreadable_order_is_claimed_and_can_be_failed() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    fixture.update(order.id, "items = '[1]'").await;
    let job = order.next_job();
    let context = trace(2);
    let claim = fixture.store.claim(&job, ClaimToken::draw(), &context, MINUTE);
    let error = claim.await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");

    let why = Failure::new(FailureCode::InternalError, "The stored order cannot be read.");
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
    assert!(row.get::<_, bool>(2), "it would be due again");
}

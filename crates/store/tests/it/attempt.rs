//! One worker at a time holds an order, and a worker that lost its lease writes nothing.

use domain::{Failure, FailureCode, OrderStatus, PaymentStatus};
use throughline_store::{Claim, Settlement, StoreError};

use crate::setup::{Fixture, MINUTE, attempt, claim_by, claim_of, trace};

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
                .claim(&job, Claim::of(&job), "worker-1", &trace(2), MINUTE)
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
    assert!((1.0..=75.0).contains(&lease), "{lease}");
}

#[tokio::test]
async fn a_job_of_an_earlier_attempt_claims_nothing() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    let first = order.next_job();
    fixture.claim(&order).await;
    fixture
        .store
        .release(claim_of(order.id, attempt(1)))
        .await
        .unwrap();
    assert!(
        fixture
            .store
            .claim(&first, claim_by(&first), "worker-1", &trace(2), MINUTE)
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
            .claim(&skipping, claim_by(&skipping), "worker-1", &trace(2), MINUTE)
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
            .claim(&next, claim_by(&next), "worker-1", &trace(3), MINUTE)
            .await
            .unwrap()
            .is_none()
    );
    fixture.make_due(order.id).await;
    let taken_over = fixture
        .store
        .claim(&next, claim_by(&next), "worker-1", &trace(3), MINUTE)
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
                .claim(&job, claim_by(&job), "worker-1", &trace(3), MINUTE)
                .await
                .unwrap()
                .unwrap();
        }
        let (store, id, old) = (&fixture.store, order.id, attempt(1));
        let before = format!("{:?}", fixture.find(id).await);
        assert!(!store.renew(claim_of(id, old), MINUTE).await.unwrap());
        assert!(store.release(claim_of(id, old)).await.unwrap().is_none());
        assert!(store.complete(claim_of(id, old), None).await.unwrap().is_none());
        assert!(
            store
                .fail(claim_of(id, old), &unavailable(), Settlement::Cancelled)
                .await
                .unwrap()
                .is_none()
        );
        assert!(
            store
                .back_off(claim_of(id, old), &unavailable(), MINUTE)
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
            .renew(claim_of(order.id, attempt(1)), MINUTE * 10)
            .await
            .unwrap()
    );
    let lease = fixture.due_in(order.id).await.unwrap();
    assert!((500.0..=750.0).contains(&lease), "{lease}");
}

#[tokio::test]
async fn a_charged_order_is_completed_with_its_charge() {
    let fixture = Fixture::new().await;
    let order = fixture.paid_order().await;
    fixture.claim(&order).await;
    fixture
        .store
        .back_off(claim_of(order.id, attempt(1)), &unavailable(), MINUTE)
        .await
        .unwrap()
        .unwrap();
    fixture.update(order.id, "payment_token = 'pm_1'").await;
    let pending = fixture.find(order.id).await;
    assert_eq!(pending.failure, Some(unavailable()));
    let claimed = fixture.claim(&pending).await;
    assert!(pending.payment_token.is_none() && claimed.payment_token.is_some());

    let completed = fixture
        .store
        .complete(claim_of(order.id, attempt(2)), Some("pi_1"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(completed.status, OrderStatus::Completed);
    assert_eq!(completed.payment_status, PaymentStatus::Charged);
    assert_eq!(completed.payment_id.as_deref(), Some("pi_1"));
    assert_eq!(fixture.token(order.id).await, None);
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
        let error = fixture
            .store
            .complete(claim_of(id, attempt(1)), payment)
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Query(_)), "{error:?}");
    }
    let (store, id) = (&fixture.store, paid.id);
    let unsettled = store
        .fail(claim_of(id, attempt(1)), &unavailable(), Settlement::Unchanged)
        .await;
    let unasked = store.record_intent(claim_of(free.id, attempt(1)), "pi_1").await;
    for error in [unsettled.unwrap_err(), unasked.unwrap_err()] {
        assert!(matches!(error, StoreError::Query(_)), "{error:?}");
    }
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
        .fail(claim_of(order.id, attempt(1)), &declined, Settlement::Refused)
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
            .back_off(claim_of(order.id, attempt(1)), &unavailable(), MINUTE * 60)
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
/// A crash of PostgreSQL undoes the claim of one worker, and another one claims the same attempt.
#[tokio::test]
async fn a_claim_that_postgresql_lost_holds_nothing() {
    let fixture = Fixture::new().await;
    let store = &fixture.store;
    let order = fixture.paid_order().await;
    let (job, context) = (order.next_job(), trace(2));
    let (lost, held) = (Claim::of(&job), Claim::of(&job));
    let claim = |claim| store.claim(&job, claim, "worker-1", &context, MINUTE);
    claim(lost).await.unwrap().unwrap();
    const UNDO: &str = "UPDATE orders SET status = 'pending', attempt = 0, attempts_two_step = 0, \
        claim_token = NULL, attempt_trace_context = NULL";
    fixture.sql.execute(UNDO, &[]).await.unwrap();
    claim(held).await.unwrap().unwrap();

    assert!(!store.renew(lost, MINUTE).await.unwrap());
    assert!(!store.record_intent(lost, "pi_1").await.unwrap());
    assert!(store.release(lost).await.unwrap().is_none());
    let failed = store.fail(lost, &unavailable(), Settlement::Cancelled).await;
    assert!(failed.unwrap().is_none());
    assert!(store.complete(lost, Some("pi_1")).await.unwrap().is_none());
    assert!(store.find_claimed(lost).await.unwrap().is_none());

    assert!(store.record_intent(held, "pi_1").await.unwrap());
    assert!(store.complete(held, Some("pi_1")).await.unwrap().is_some());
}

#[tokio::test]
async fn a_claim_whose_response_was_lost_can_be_repeated() {
    let fixture = Fixture::new().await;
    let job = fixture.order().await.next_job();
    let context = trace(2);
    let claim = |claim| fixture.store.claim(&job, claim, "worker-1", &context, MINUTE);
    let first = claim(claim_by(&job)).await.unwrap().expect("the claim");
    let again = claim(claim_by(&job)).await.unwrap().expect("the same claim");
    assert_eq!(again.attempt, first.attempt);
    assert!(claim(Claim::of(&job)).await.unwrap().is_none());

    fixture
        .store
        .complete(claim_of(first.id, first.attempt), None)
        .await
        .unwrap()
        .expect("the end");
    assert!(
        claim(claim_by(&job)).await.unwrap().is_none(),
        "a final order was claimed"
    );
}

/// For example, a newer version of the program wrote it.
#[tokio::test]
async fn an_unreadable_order_is_left_to_another_version() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    fixture.update(order.id, "items = '[1]'").await;
    let (store, id, context) = (&fixture.store, order.id, trace(2));
    let mut job = order.next_job();
    for number in 1..=4 {
        job.attempt = attempt(number);
        let error = store
            .claim(&job, claim_by(&job), "worker-1", &context, MINUTE)
            .await
            .unwrap_err();
        assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");
        assert!(
            !store
                .leave_unreadable(claim_of(id, attempt(number + 1)))
                .await
                .unwrap()
        );
        assert!(
            store
                .leave_unreadable(claim_of(id, attempt(number)))
                .await
                .unwrap()
        );
        let due = fixture.due_in(id).await.unwrap();
        assert!(due <= f64::from(1 << number), "{due}");
    }
    fixture.update(id, "items = '[]'").await;
    let left = fixture.find(id).await;
    assert_eq!((left.status, left.failure.clone()), (OrderStatus::Pending, None));
    assert_eq!((left.attempt, left.attempts_counted()), (attempt(4), 0));
}

#[tokio::test]
async fn a_failure_code_of_a_newer_version_is_read_and_shown() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    fixture
        .update(order.id, "failure_code = 'of_tomorrow', failure_detail = 'New.'")
        .await;
    let failure = fixture.find(order.id).await.failure.unwrap();
    assert_eq!(failure.code.as_str(), "of_tomorrow");
}

/// A worker dies with the order: its lease ends, and either a reconciler or the next claim takes it over.
#[tokio::test]
async fn crashes_are_counted_apart_from_attempts_until_one_records_an_outcome() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    let (store, id) = (&fixture.store, order.id);
    let mut claimed = fixture.claim(&order).await;
    for crashes in 1..=2 {
        fixture.make_due(id).await;
        if crashes == 1 {
            assert_eq!(store.take_due(10).await.unwrap().len(), 1);
        }
        let job = claimed.next_job();
        for _ in 0..2 {
            // The second claim repeats the first one, whose response was lost.
            claimed = store
                .claim(&job, claim_by(&job), "worker-1", &trace(2), MINUTE)
                .await
                .unwrap()
                .unwrap();
            assert_eq!((claimed.crashes, claimed.attempts_counted()), (crashes, 1));
            assert_eq!(claimed.attempts_two_step, claimed.attempt.number());
        }
    }
    // The worker did not die: it returned the order.
    let released = store
        .release(claim_of(id, claimed.attempt))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((released.crashes, released.attempts_counted()), (0, 0));
}

/// The gateway rejects its request, and the schema its outcome, so its lease ends while its worker lives.
#[tokio::test]
async fn an_attempt_of_release_0_1_without_an_outcome_is_counted_and_is_no_crash() {
    const CLAIM: &str =
        "status = 'processing', attempt = attempt + 1, dispatch_after = now() - interval '1 s'";
    let fixture = Fixture::new().await;
    let order = fixture.paid_order().await;
    let (store, id) = (&fixture.store, order.id);
    let first = fixture.claim(&order).await.attempt;
    assert!(store.record_intent(claim_of(id, first), "pi_1").await.unwrap());
    store.release(claim_of(id, first)).await.unwrap().unwrap();
    fixture.update(id, CLAIM).await;
    assert_eq!(store.take_due(10).await.unwrap().len(), 1);
    fixture.update(id, CLAIM).await;
    let claimed = fixture.claim(&fixture.find(id).await).await;
    assert_eq!((claimed.crashes, claimed.attempts_counted()), (0, 3));
}

#[tokio::test]
async fn an_order_waits_for_the_gateway_without_using_up_its_attempts() {
    let fixture = Fixture::new().await;
    let mut order = fixture.paid_order().await;
    let (store, id) = (&fixture.store, order.id);
    let mut since = None;
    for _ in 0..3 {
        let this = fixture.claim(&order).await.attempt;
        assert!(store.record_intent(claim_of(id, this), "pi_1").await.unwrap());
        let waiting = store
            .wait_for_gateway(claim_of(id, this), &unavailable(), MINUTE)
            .await;
        order = waiting.unwrap().unwrap();
        assert_eq!(
            (order.status, order.attempts_counted()),
            (OrderStatus::Pending, 0)
        );
        assert_eq!(order.payment_id.as_deref(), Some("pi_1"));
        assert!(order.waiting_since.is_some());
        assert_eq!(
            *since.get_or_insert(order.waiting_since),
            order.waiting_since,
            "the wait began once"
        );
        let delay = fixture.due_in(id).await.unwrap();
        assert!((30.0..=75.0).contains(&delay), "{delay}");
    }
    // A stop of the worker says nothing about the gateway; a failure of the order itself does.
    let this = fixture.claim(&order).await.attempt;
    order = store.release(claim_of(id, this)).await.unwrap().unwrap();
    assert_eq!(order.waiting_since, since.unwrap());
    let this = fixture.claim(&order).await.attempt;
    order = store
        .back_off(claim_of(id, this), &unavailable(), MINUTE)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((order.waiting_since, order.attempts_counted()), (None, 1));
}

#[tokio::test]
async fn the_id_of_a_payment_is_recorded_once_and_only_by_the_holder() {
    let fixture = Fixture::new().await;
    let order = fixture.paid_order().await;
    fixture.claim(&order).await;
    let record = |number, payment_id| {
        fixture
            .store
            .record_intent(claim_of(order.id, attempt(number)), payment_id)
    };
    assert!(!record(2, "pi_1").await.unwrap());
    assert!(record(1, "pi_1").await.unwrap());
    assert!(record(1, "pi_1").await.unwrap(), "a repeated statement");
    assert!(
        !record(1, "pi_2").await.unwrap(),
        "one payment has replaced another"
    );
    assert_eq!(fixture.find(order.id).await.payment_id.as_deref(), Some("pi_1"));

    fixture
        .store
        .fail(
            claim_of(order.id, attempt(1)),
            &unavailable(),
            Settlement::Cancelled,
        )
        .await
        .unwrap()
        .unwrap();
    assert!(!record(1, "pi_1").await.unwrap(), "the order is final");
}

/// A worker believes in the lease that it asked for; the order is due up to a quarter later.
#[tokio::test]
async fn leases_that_began_together_do_not_end_together() {
    let fixture = Fixture::new().await;
    let mut ends = Vec::new();
    for _ in 0..20 {
        let order = fixture.order().await;
        fixture.claim(&order).await;
    }
    // A claim sets both.
    let leases = "SELECT extract(epoch FROM dispatch_after - updated_at)::float8 FROM orders";
    for row in fixture.sql.query(leases, &[]).await.unwrap() {
        ends.push(row.get::<_, f64>(0));
    }
    ends.sort_by(f64::total_cmp);
    assert!(ends[0] >= 60.0 && ends[19] <= 75.0, "{ends:?}");
    assert!(ends[19] - ends[0] > 3.0, "{ends:?}");
}

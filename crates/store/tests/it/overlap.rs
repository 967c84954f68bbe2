//! Two statements that meet on one order: the second starts while the first has written and not committed.
//! The result is that of one after the other, or the second has no effect; a worker's statement waits, and
//! always has its effect. The model test never overlaps two.

use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{Attempt, Failure, FailureCode, Order, OrderId, OrderStatus};
use throughline_store::{Changed, Claim, EVER, Settlement, Store};

use crate::settlement::unsettled;
use crate::setup::{Fixture, MINUTE, claim_of, operator, trace};

/// An UPDATE waits at its commit while the test holds the advisory lock.
const WAIT_AT_COMMIT: &str = "
    CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NULL; END $$;
    CREATE CONSTRAINT TRIGGER wait_at_commit AFTER UPDATE ON orders DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION wait_at_commit();";

/// Sessions that wait for a lock.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity \
    WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Everything that a decision depends on. Times by whether they are set and soon, because some are random.
const ROW: &str = "SELECT concat_ws(' ', status, attempt, attempts_forgiven, attempts_two_step, crashes, \
    payment_status, payments_refused, payment_id, failure_code, waiting_since IS NOT NULL, \
    completed_at IS NOT NULL, dispatch_after IS NULL, dispatch_after < now() + interval '5 s', \
    regexp_replace(history, '[0-9]{16}', '', 'g')) FROM orders";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Statement {
    Claim,
    Renew,
    RecordIntent,
    Complete,
    Fail,
    BackOff,
    WaitForGateway,
    Release,
    LeaveUnreadable,
    Cancel,
    Retry,
    Settle,
    TakeDue,
    TakeDueAttempted,
    DispatchNow,
    GiveBack,
    DispatchAllNow,
}

use Statement::*;

impl Statement {
    fn is_of_worker(self) -> bool {
        matches!(
            self,
            Claim
                | Renew
                | RecordIntent
                | Complete
                | Fail
                | BackOff
                | WaitForGateway
                | Release
                | LeaveUnreadable
        )
    }
}

/// In which state two statements meet, and those that have an effect on it.
#[derive(Debug, Clone, Copy)]
enum Start {
    New,
    Due,
    Waiting,
    Held,
    LeaseExpired,
    Failed,
    Unsettled,
}

const MEETINGS: [(Start, &[Statement]); 7] = [
    (
        Start::New,
        &[Claim, Cancel, DispatchNow, GiveBack, DispatchAllNow],
    ),
    (Start::Due, &[Claim, Cancel, TakeDue]),
    (
        Start::Waiting,
        &[Claim, Cancel, TakeDue, TakeDueAttempted, DispatchNow],
    ),
    (
        Start::Held,
        &[
            Renew,
            RecordIntent,
            Complete,
            Fail,
            BackOff,
            WaitForGateway,
            Release,
            LeaveUnreadable,
        ],
    ),
    (
        Start::LeaseExpired,
        &[
            Claim,
            Renew,
            RecordIntent,
            Complete,
            Fail,
            BackOff,
            Release,
            TakeDue,
        ],
    ),
    (Start::Failed, &[Retry]),
    (Start::Unsettled, &[Retry, Settle]),
];

async fn start(fixture: &Fixture, start: Start) -> Order {
    fixture.sql.execute("DELETE FROM orders", &[]).await.unwrap();
    if let Start::Unsettled = start {
        let ids = unsettled(fixture, &[OrderStatus::Failed]).await;
        return fixture.find(ids[0]).await;
    }
    let order = fixture.paid_order().await;
    let (id, first) = (order.id, Attempt::FIRST);
    match start {
        Start::New | Start::Unsettled => {}
        Start::Due => fixture.make_due(id).await,
        Start::Waiting => {
            fixture.claim(&order).await;
            fixture.store.release(claim_of(id, first)).await.unwrap();
            fixture.make_due(id).await;
        }
        Start::Held => drop(fixture.claim(&order).await),
        Start::LeaseExpired => {
            fixture.claim(&order).await;
            fixture.make_due(id).await;
        }
        Start::Failed => {
            fixture.claim(&order).await;
            let failed = fixture
                .store
                .fail(claim_of(id, first), &failure(), Settlement::Cancelled)
                .await;
            failed.unwrap().unwrap();
        }
    }
    fixture.find(id).await
}

fn failure() -> Failure {
    Failure::new(FailureCode::PaymentTimeout, "No response.")
}

/// Whether the statement had an effect, as its caller is told.
async fn run(store: Store, statement: Statement, order: Order) -> bool {
    let (id, this, why): (OrderId, Attempt, Failure) = (order.id, order.attempt, failure());
    let ids = [id];
    match statement {
        Claim => {
            let (job, context) = (order.next_job(), trace(2));
            let claim = store
                .claim(&job, Claim::of(&job), "worker-1", &context, MINUTE)
                .await;
            claim.unwrap().is_some()
        }
        Renew => store.renew(claim_of(id, this), MINUTE).await.unwrap(),
        RecordIntent => store.record_intent(claim_of(id, this), "pi_1").await.unwrap(),
        Complete => store
            .complete(claim_of(id, this), Some("pi_1"))
            .await
            .unwrap()
            .is_some(),
        Fail => {
            let failed = store.fail(claim_of(id, this), &why, Settlement::Cancelled).await;
            failed.unwrap().is_some()
        }
        BackOff => store
            .back_off(claim_of(id, this), &why, MINUTE * 600_000)
            .await
            .unwrap()
            .is_some(),
        WaitForGateway => store
            .wait_for_gateway(claim_of(id, this), &why, MINUTE)
            .await
            .unwrap()
            .is_some(),
        Release => store.release(claim_of(id, this)).await.unwrap().is_some(),
        LeaveUnreadable => store.leave_unreadable(claim_of(id, this)).await.unwrap(),
        Cancel => matches!(
            store.cancel(id, None, &operator()).await.unwrap(),
            Changed::Done(_)
        ),
        Retry => matches!(store.retry(id, &operator()).await.unwrap(), Changed::Done(_)),
        Settle => store.settle(id, Settlement::Cancelled, None).await.unwrap(),
        TakeDue => !store.take_due(10).await.unwrap().is_empty(),
        TakeDueAttempted => !store.take_due_attempted(EVER, 10).await.unwrap().is_empty(),
        DispatchAllNow => store.dispatch_all_now(DateTime::<Utc>::MAX_UTC).await.unwrap() > 0,
        // Their callers are not told.
        DispatchNow => store.dispatch_now(id).await.is_err(),
        GiveBack => store.give_back(&ids).await.is_err(),
    }
}

async fn row(fixture: &Fixture) -> String {
    fixture.sql.query_one(ROW, &[]).await.unwrap().get(0)
}

async fn until_waiting(fixture: &Fixture, what: &str, sessions: i64, or: impl Fn() -> bool) {
    testkit::eventually(what, Duration::from_secs(30), async || {
        let waiting: i64 = fixture.sql.query_one(WAITING, &[]).await.unwrap().get(0);
        (waiting >= sessions || or()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn two_statements_that_meet_on_one_order_are_as_one_after_the_other() {
    let fixture = Fixture::new().await;
    fixture.sql.batch_execute(WAIT_AT_COMMIT).await.unwrap();
    let store = &fixture.store;
    for (state, statements) in MEETINGS {
        for first in statements {
            let order = start(&fixture, state).await;
            let effect = run(store.clone(), *first, order).await;
            let first_alone = row(&fixture).await;
            assert!(
                effect || matches!(first, DispatchNow | GiveBack),
                "{first:?} from {state:?}"
            );
            for second in statements {
                let pair = format!("{first:?}, then {second:?} from {state:?}");
                let order = start(&fixture, state).await;
                run(store.clone(), *first, order.clone()).await;
                let effect = run(store.clone(), *second, order).await;
                let in_turn = (effect, row(&fixture).await);

                let order = start(&fixture, state).await;
                fixture
                    .sql
                    .batch_execute("SELECT pg_advisory_lock(1)")
                    .await
                    .unwrap();
                let first = tokio::spawn(run(store.clone(), *first, order.clone()));
                until_waiting(&fixture, "the first to wait at its commit", 1, || false).await;
                // With lanes of its own, as in another process.
                let may_have_no_effect = !second.is_of_worker();
                let second = tokio::spawn(run(store.on_this_thread(), *second, order));
                until_waiting(&fixture, "the second", 2, || second.is_finished()).await;
                fixture
                    .sql
                    .batch_execute("SELECT pg_advisory_unlock(1)")
                    .await
                    .unwrap();
                first.await.unwrap();
                let met = (second.await.unwrap(), row(&fixture).await);
                let no_effect = (false, first_alone.clone());
                assert!(
                    met == in_turn || may_have_no_effect && met == no_effect,
                    "{pair}\n     met: {met:?}\n in turn: {in_turn:?}\nno effect: {no_effect:?}"
                );
            }
        }
    }
}

//! Every due order is taken once, and no other.

use std::collections::HashSet;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{Failure, FailureCode, Order, OrderId, OrderStatus};
use throughline_store::{DueReason, EVER, Store, StoreConfig};

use crate::setup::{Fixture, MINUTE, attempt, claim_by, claim_of, trace};

/// Due orders: one that no worker claimed, one whose lease expired, and one whose backoff ended.
async fn one_for_each_reason(fixture: &Fixture) -> [Order; 3] {
    let orders = [
        fixture.order().await,
        fixture.order().await,
        fixture.order().await,
    ];
    let [_, expired, retry] = &orders;
    fixture.claim(expired).await;
    fixture.claim(retry).await;
    let failure = Failure::new(FailureCode::PaymentTimeout, "No response.");
    let later = fixture
        .store
        .back_off(claim_of(retry.id, attempt(1)), &failure, MINUTE);
    later.await.unwrap().expect("the lease holds");
    for order in &orders {
        fixture.make_due(order.id).await;
    }
    orders
}

#[tokio::test]
async fn each_due_order_is_taken_with_its_reason_and_the_context_of_its_next_attempt() {
    let fixture = Fixture::new().await;
    let [lost, expired, _] = one_for_each_reason(&fixture).await;
    let due = fixture.store.take_due(10).await.unwrap();
    assert_eq!(due.len(), 3);
    for order in due {
        assert_eq!(order.trace, trace(1));
        let (reason, previous) = (order.reason, order.previous_attempt.clone());
        if order.id == lost.id {
            assert_eq!(
                (reason, previous, order.attempt),
                (DueReason::Lost, None, attempt(0))
            );
        } else if order.id == expired.id {
            assert_eq!(
                (reason, previous, order.attempt),
                (DueReason::LeaseExpired, Some(trace(2)), attempt(1))
            );
        } else {
            assert_eq!(
                (reason, previous, order.attempt),
                (DueReason::Backoff, Some(trace(2)), attempt(1))
            );
        }
        let job = order.clone().into_job();
        assert_eq!((job.order_id, job.attempt), (order.id, order.attempt.next()));
        let claim = fixture
            .store
            .claim(&job, claim_by(&job), "worker-1", &trace(3), MINUTE)
            .await
            .unwrap();
        assert_eq!(claim.unwrap().attempt, job.attempt);
    }
}

#[tokio::test]
async fn concurrent_reconcilers_take_every_due_order_exactly_once() {
    let fixture = Fixture::new().await;
    let mut expected = HashSet::new();
    for number in 0..200 {
        let order = fixture.order().await;
        if number % 2 == 0 {
            fixture.claim(&order).await;
        }
        fixture.make_due(order.id).await;
        expected.insert(order.id);
    }
    let reconcilers: Vec<_> = (0..4)
        .map(|_| {
            let store = fixture.store.clone();
            tokio::spawn(async move {
                let mut taken: Vec<OrderId> = Vec::new();
                loop {
                    let due = store.take_due(7).await.unwrap();
                    if due.is_empty() {
                        return taken;
                    }
                    taken.extend(due.iter().map(|order| order.id));
                }
            })
        })
        .collect();
    let mut taken = Vec::new();
    for reconciler in reconcilers {
        taken.extend(reconciler.await.unwrap());
    }
    // A reconciler that sees only rows locked by others ends early; those others take them.
    assert_eq!(taken.len(), 200);
    assert_eq!(taken.into_iter().collect::<HashSet<_>>(), expected);
    assert!(fixture.store.take_due(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn at_most_the_limit_is_taken_and_the_most_overdue_first() {
    let fixture = Fixture::new().await;
    let mut orders = Vec::new();
    for seconds in 1..=5 {
        let order = fixture.order().await;
        fixture
            .update(
                order.id,
                &format!("dispatch_after = now() - interval '{seconds} s'"),
            )
            .await;
        orders.push(order.id);
    }
    let due: HashSet<_> = fixture
        .store
        .take_due(2)
        .await
        .unwrap()
        .iter()
        .map(|order| order.id)
        .collect();
    assert_eq!(due, HashSet::from([orders[4], orders[3]]));
}

#[tokio::test]
async fn final_orders_and_orders_that_are_not_due_are_not_taken() {
    let fixture = Fixture::new().await;
    for status in OrderStatus::ALL {
        let order = fixture.order().await;
        fixture.put_into(order.id, *status).await;
    }
    assert!(fixture.store.take_due(100).await.unwrap().is_empty());
    // Not even a mistake makes a final order due: a constraint rejects it.
    for status in [
        OrderStatus::Completed,
        OrderStatus::Failed,
        OrderStatus::Cancelled,
    ] {
        let order = fixture.order().await;
        fixture.put_into(order.id, status).await;
        let mistake = format!(
            "UPDATE orders SET dispatch_after = now() WHERE id = '{}'",
            order.id
        );
        assert!(fixture.sql.execute(&mistake, &[]).await.is_err());
    }
}

#[tokio::test]
async fn an_order_is_due_again_after_growing_delays() {
    let fixture = Fixture::new().await;
    for (age, expected) in [("1 s", 30.0), ("100 s", 100.0), ("1 day", 600.0)] {
        let order = fixture.order().await;
        fixture
            .update(
                order.id,
                &format!("created_at = now() - interval '{age}', dispatch_after = now()"),
            )
            .await;
        assert_eq!(fixture.store.take_due(10).await.unwrap().len(), 1);
        let due = fixture.due_in(order.id).await.unwrap();
        assert!((expected - 30.0..=expected + 30.0).contains(&due), "{age}: {due}");
    }
}

#[tokio::test]
async fn taking_a_pending_order_does_not_change_updated_at() {
    let fixture = Fixture::new().await;
    let order = fixture.order().await;
    fixture.store.dispatch_now(order.id).await.unwrap();
    assert_eq!(fixture.store.take_due(10).await.unwrap().len(), 1);
    assert_eq!(fixture.find(order.id).await.updated_at, order.updated_at);
}

#[tokio::test]
async fn after_a_failed_dispatch_an_order_is_due_at_once_unless_a_worker_holds_it() {
    let fixture = Fixture::new().await;
    let (pending, processing, done) = (
        fixture.order().await,
        fixture.order().await,
        fixture.order().await,
    );
    fixture.claim(&processing).await;
    fixture.put_into(done.id, OrderStatus::Completed).await;
    for order in [&pending, &processing, &done] {
        fixture.store.dispatch_now(order.id).await.unwrap();
    }
    let due = fixture.store.take_due(10).await.unwrap();
    assert_eq!(due.iter().map(|order| order.id).collect::<Vec<_>>(), [pending.id]);
}

#[tokio::test]
async fn orders_that_could_not_be_dispatched_are_due_at_once_by_one_statement() {
    let fixture = Fixture::new().await;
    let mut ids = Vec::new();
    for _ in 0..3 {
        let order = fixture.order().await;
        fixture.make_due(order.id).await;
        ids.push(order.id);
    }
    assert_eq!(fixture.store.take_due(10).await.unwrap().len(), 3);
    // One job was enqueued although its response was lost.
    let claimed = fixture.find(ids[2]).await;
    fixture.claim(&claimed).await;
    fixture.store.give_back(&ids).await.unwrap();
    let due = fixture.store.take_due(10).await.unwrap();
    let due: HashSet<OrderId> = due.iter().map(|order| order.id).collect();
    assert_eq!(due, HashSet::from([ids[0], ids[1]]));
}

#[tokio::test]
async fn attempted_orders_can_be_taken_before_new_ones() {
    let fixture = Fixture::new().await;
    let [new, expired, retry] = one_for_each_reason(&fixture).await;
    let taken = fixture.store.take_due_attempted(EVER, 10).await.unwrap();
    let taken: HashSet<OrderId> = taken.iter().map(|order| order.id).collect();
    assert_eq!(taken, HashSet::from([expired.id, retry.id]));
    let rest = fixture.store.take_due(10).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert_eq!(rest[0].id, new.id);
}

#[tokio::test]
async fn a_look_takes_only_orders_that_became_due_within_its_age() {
    let fixture = Fixture::new().await;
    let (recent, old) = (fixture.order().await, fixture.order().await);
    fixture
        .update(recent.id, "dispatch_after = now() - interval '5 s'")
        .await;
    fixture
        .update(old.id, "dispatch_after = now() - interval '1 h'")
        .await;
    let taken = fixture.store.take_due_within(MINUTE, 10).await.unwrap();
    assert_eq!(taken.iter().map(|due| due.id).collect::<Vec<_>>(), [recent.id]);
    let taken = fixture.store.take_due(10).await.unwrap();
    assert_eq!(taken.iter().map(|due| due.id).collect::<Vec<_>>(), [old.id]);
}

#[tokio::test]
async fn after_redis_lost_its_data_all_pending_orders_are_due_and_leases_remain() {
    let fixture = Fixture::new().await;
    let processing = fixture.order().await;
    fixture.claim(&processing).await;
    // More than one batch.
    fixture
        .sql
        .execute(
            "INSERT INTO orders (id, amount, dispatch_after, customer, currency, payment_status, items) \
             SELECT gen_random_uuid(), 1, now() + interval '1 h', 'ada', 'USD', 'not_required', '[]' FROM generate_series(1, 2500)",
            &[],
        )
        .await
        .unwrap();
    let younger = fixture.order().await;
    assert_eq!(
        fixture.store.dispatch_all_now(younger.created_at).await.unwrap(),
        2500
    );
    assert_eq!(
        fixture.store.dispatch_all_now(younger.created_at).await.unwrap(),
        0
    );
    assert_eq!(fixture.store.take_due(10_000).await.unwrap().len(), 2500);
    assert_eq!(fixture.find(processing.id).await.status, OrderStatus::Processing);
}

/// A generic plan knows neither the limit nor, for a while, the present number of orders. It must not read
/// all of them for each batch: the time to catch up would grow with the number of all orders ever created.
#[tokio::test]
async fn a_batch_is_found_by_index_under_a_plan_that_knows_no_numbers() {
    let fixture = Fixture::new().await;
    fixture
        .sql
        .batch_execute(
            "INSERT INTO orders (id, amount, dispatch_after, customer, currency, payment_status, items) \
             SELECT gen_random_uuid(), 1, now() + interval '1 h', 'ada', 'USD', 'not_required', '[]' FROM generate_series(1, 20000); \
             ANALYZE orders; \
             DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET plan_cache_mode = force_generic_plan', current_database()); END $$",
        )
        .await
        .unwrap();
    let read = async |what: &str| -> i64 {
        let count = format!("SELECT {what} FROM pg_stat_user_tables WHERE relname = 'orders'");
        fixture.sql.query_one(&count, &[]).await.unwrap().get(0)
    };
    let scanned = read("seq_scan").await;

    let store = Store::new(StoreConfig::new(fixture.database.url(), "store-test")).unwrap();
    assert_eq!(
        store.dispatch_all_now(DateTime::<Utc>::MAX_UTC).await.unwrap(),
        20_000
    );
    assert_eq!(store.take_due(200).await.unwrap().len(), 200);
    // A connection reports its statistics when it ends, if not before.
    drop(store);
    testkit::eventually("the connection's counts", MINUTE, async || {
        (read("n_tup_upd").await >= 20_200).then_some(())
    })
    .await;
    assert_eq!(read("seq_scan").await, scanned);
}

#[tokio::test]
async fn the_lag_is_the_most_overdue_orders() {
    let fixture = Fixture::new().await;
    assert_eq!(fixture.store.oldest_due().await.unwrap(), None);
    for age in ["10 s", "1 h"] {
        let order = fixture.order().await;
        fixture
            .update(order.id, &format!("dispatch_after = now() - interval '{age}'"))
            .await;
    }
    let lag = fixture.store.oldest_due().await.unwrap().unwrap();
    assert!((3600..4200).contains(&lag.as_secs()), "{lag:?}");
    fixture.store.take_due(1).await.unwrap();
    assert!(fixture.store.oldest_due().await.unwrap().unwrap() < Duration::from_secs(600));
}

#[tokio::test]
async fn an_order_with_an_unreadable_trace_does_not_block_its_batch() {
    let fixture = Fixture::new().await;
    let (broken, sound) = (fixture.order().await, fixture.order().await);
    fixture.update(broken.id, "trace_context = '[1]'").await;
    for order in [&broken, &sound] {
        fixture.make_due(order.id).await;
    }
    let due = fixture.store.take_due(10).await.unwrap();
    assert_eq!(due.len(), 2);
    let of = |id| due.iter().find(|due| due.id == id).unwrap();
    assert_eq!(of(broken.id).trace, domain::TraceContext::default());
    assert_eq!(of(sound.id).trace, trace(1));
}

/// Retries do not wait behind new orders, and do not cost more the more of those there are.
#[tokio::test]
async fn attempted_orders_are_found_by_their_own_index() {
    let fixture = Fixture::new().await;
    fixture
        .sql
        .batch_execute(
            "INSERT INTO orders (id, amount, dispatch_after, customer, currency, payment_status, items) \
             SELECT gen_random_uuid(), 1, now() - interval '1 h', 'ada', 'USD', 'not_required', '[]' FROM generate_series(1, 20000); \
             ANALYZE orders",
        )
        .await
        .unwrap();
    let mut retries = HashSet::new();
    for _ in 0..5 {
        let order = fixture.order().await;
        fixture.claim(&order).await;
        fixture.make_due(order.id).await;
        retries.insert(order.id);
    }
    let read = async || -> i64 {
        let reads = "SELECT (idx_tup_fetch + seq_tup_read)::int8 FROM pg_stat_xact_user_tables WHERE relname = 'orders'";
        fixture.sql.query_one(reads, &[]).await.unwrap().get(0)
    };
    for plan in ["force_generic_plan", "force_custom_plan"] {
        // In the test's transaction, whose statistics are at hand at once.
        fixture
            .sql
            .batch_execute(&format!("BEGIN; SET plan_cache_mode = {plan}"))
            .await
            .unwrap();
        let before = read().await;
        let taken = "SELECT id FROM orders WHERE dispatch_after <= now() AND attempt > 0 \
                     ORDER BY dispatch_after LIMIT 200 FOR UPDATE SKIP LOCKED";
        let rows = fixture.sql.query(taken, &[]).await.unwrap();
        assert_eq!(rows.len(), 5);
        let rows_read = read().await - before;
        fixture.sql.batch_execute("ROLLBACK").await.unwrap();
        assert!(rows_read < 100, "{plan}: {rows_read} rows read");
    }
    let taken = fixture.store.take_due_attempted(EVER, 10).await.unwrap();
    assert_eq!(
        taken.iter().map(|order| order.id).collect::<HashSet<_>>(),
        retries
    );
}

#[tokio::test]
async fn unfinished_orders_are_counted_by_what_they_wait_for() {
    let fixture = Fixture::new().await;
    let empty = fixture.store.unfinished().await.unwrap();
    assert_eq!((empty.oldest_age(), empty), (Duration::ZERO, Default::default()));

    let (waits, backs_off, works) = (
        fixture.order().await,
        fixture.order().await,
        fixture.order().await,
    );
    fixture.order().await;
    fixture.claim(&works).await;
    fixture.update(backs_off.id, "attempt = 1").await;
    fixture
        .update(waits.id, "attempt = 1, waiting_since = now()")
        .await;
    let done = fixture.order().await;
    fixture
        .update(done.id, "created_at = now() - interval '1 day'")
        .await;
    fixture.put_into(done.id, OrderStatus::Completed).await;
    // Due again only much later, as an old order is.
    fixture
        .update(
            works.id,
            "created_at = now() - interval '1 h', dispatch_after = now() + interval '10 min'",
        )
        .await;
    let unfinished = fixture.store.unfinished().await.unwrap();
    let counts = (
        unfinished.waiting_for_gateway,
        unfinished.in_backoff,
        unfinished.waiting_for_dispatch,
    );
    assert_eq!(counts, (1, 1, 1));
    let minutes = unfinished.oldest_age().as_secs() / 60;
    assert!((60..100).contains(&minutes), "{minutes}");
}

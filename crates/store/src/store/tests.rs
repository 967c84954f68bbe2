//! What only the pool itself can show: its connections, and their prepared statements.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use diesel::dsl::sql;
use diesel::sql_types::{Bool, Integer, Text};
use domain::{Actor, Failure, FailureCode, OrderDraft, OrderId};

use super::*;
use crate::batches::claim::NewClaim;
use crate::batches::complete::Completion;
use crate::batches::end::{Ending, Next};
use crate::batches::find::FindOrders;
use crate::batches::insert::{InsertOrders, NewOrder};
use crate::batches::insert_once::{InsertOrdersOnce, NewOrderOnce};
use crate::batches::record_intent::IntentRecord;
use crate::erasure::Erasure;
use crate::fencing::Claim;
use crate::filter::{Change, OrderFilter, Sort};
use crate::idempotency::{IdempotencyKey, Once};
use crate::pg::lane::LaneConnection;
use crate::retention::Prune;
use crate::settlement::Settlement;
use crate::totals::TotalsFold;

telemetry::statement! {
    Sleep: "SELECT" "pg_sleep", action "test", framework "none";
    Raise: "DO" "none", action "test", framework "none";
    Count: "SELECT" "pg_stat_activity", action "test", framework "none";
    PreparedText: "SELECT" "pg_prepared_statements", action "test", framework "none";
    Show: "SELECT" "current_setting", action "test", framework "none";
}

const LONG: Duration = Duration::from_secs(20);

async fn store(database: &testkit::Database, statement_timeout: Duration) -> Store {
    Store::new(StoreConfig {
        pool_size: 1,
        reporting_pool_size: 1,
        statement_timeout,
        ..StoreConfig::new(database.url(), "store-test")
    })
    .unwrap()
}

async fn sleep(store: &Store, seconds: u32) -> Result<Vec<bool>, StoreError> {
    let query = diesel::select(sql::<Bool>(&format!("pg_sleep({seconds}) IS NULL")));
    store.pg.rows::<Sleep, _, _>(query).await
}

/// The backends that sleep.
async fn asleep(store: &Store) -> Vec<i32> {
    let query = diesel::select(sql::<Integer>(
        "pid FROM pg_stat_activity WHERE query LIKE '%pg_sleep(%' AND state = 'active' \
         AND datname = current_database() AND pid <> pg_backend_pid()",
    ));
    store.pg.rows::<Count, _, _>(query).await.unwrap()
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_at_the_server_and_then_its_connection_is_used_again() {
    let database = testkit::database().await.unwrap();
    let store = store(&database, Duration::from_secs(600)).await;
    let watcher = self::store(&database, Duration::from_secs(5)).await;

    let abandoned = tokio::spawn({
        let store = store.clone();
        async move { sleep(&store, 600).await }
    });
    let before = testkit::eventually("the statement to run", LONG, async || {
        let pids = asleep(&watcher).await;
        (!pids.is_empty()).then_some(pids)
    })
    .await;
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    assert_eq!(
        store.pool_state().used,
        1,
        "its place is not free before the server has ended it"
    );

    testkit::eventually("the server to end it", LONG, async || {
        asleep(&watcher).await.is_empty().then_some(())
    })
    .await;
    assert_eq!(sleep(&store, 0).await.unwrap(), [false], "its own response");
    let pid = diesel::select(sql::<Integer>("pg_backend_pid()"));
    let pid: Option<i32> = store.pg.row::<Count, _, _>(pid).await.unwrap();
    assert_eq!(before, Vec::from_iter(pid));
}

#[tokio::test]
async fn errors_are_told_apart_by_the_sqlstate_that_postgresql_sends() {
    let database = testkit::database().await.unwrap();
    let store = store(&database, Duration::from_secs(5)).await;
    let raise = async |state: &str| {
        let raise = format!("DO $$ BEGIN RAISE EXCEPTION 'interrompu' USING ERRCODE = '{state}'; END $$");
        store
            .pg
            .execute::<Raise, _>(diesel::sql_query(raise))
            .await
            .unwrap_err()
    };
    for state in [
        "40001", "40P01", "53000", "53100", "53200", "55P03", "57014", "58030",
    ] {
        let error = raise(state).await;
        assert!(matches!(error, StoreError::Aborted(_)), "{state}: {error:?}");
    }
    assert_eq!(store.pool_state().idle, 1, "its connection stays");
    for state in ["08006", "25006", "53300", "57P01", "57P02", "57P03", "57P05"] {
        let error = raise(state).await;
        assert!(matches!(error, StoreError::Unavailable(_)), "{state}: {error:?}");
    }
    let error = raise("22012").await;
    assert!(matches!(error, StoreError::Query(_)), "{error:?}");

    let terminate = diesel::sql_query("SELECT pg_terminate_backend(pg_backend_pid())");
    let error = store.pg.execute::<Raise, _>(terminate).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_a_timeout_and_its_connection_stays() {
    let database = testkit::database().await.unwrap();
    let store = store(&database, Duration::from_millis(100)).await;
    let error = sleep(&store, 600).await.unwrap_err();
    assert!(matches!(error, StoreError::Aborted(_)), "{error:?}");
    assert_eq!(store.pool_state().used + store.pool_state().idle, 1);
}

#[tokio::test]
async fn of_the_batches_only_claims_do_not_wait_for_the_disk() {
    let database = testkit::database().await.unwrap();
    let store = store(&database, Duration::from_secs(5)).await;
    for (is_durable, expected) in [
        (Each::<NewClaim>::IS_DURABLE, "off"),
        (Each::<IntentRecord>::IS_DURABLE, "on"),
        (Each::<Completion>::IS_DURABLE, "on"),
        (Each::<Ending>::IS_DURABLE, "on"),
        (InsertOrders::IS_DURABLE, "on"),
        (InsertOrdersOnce::IS_DURABLE, "on"),
    ] {
        let mut connection = store.lanes.connection(is_durable);
        let query = diesel::select(sql::<Text>("current_setting('synchronous_commit')"));
        let shown: Vec<String> = connection.rows::<Show, _, _>(query).await.unwrap();
        assert_eq!(shown, [expected]);
    }
}

#[tokio::test]
async fn every_statement_is_prepared_once_per_connection() {
    let database = testkit::database().await.unwrap();
    crate::migrate(database.url()).await.unwrap();
    let store = store(&database, Duration::from_secs(5)).await;
    for _ in 0..3 {
        run_every_statement(&store).await;
    }
    let mut connection = store.lanes.connection(true);
    for size in 1..=3 {
        run_every_batch(&mut connection, size).await;
    }
    let query = || diesel::select(sql::<Text>("statement FROM pg_prepared_statements"));
    let mut prepared: Vec<String> = connection.rows::<PreparedText, _, _>(query()).await.unwrap();
    for runner in [&store.pg, &store.reporting] {
        let statements: Vec<String> = runner.rows::<PreparedText, _, _>(query()).await.unwrap();
        prepared.extend(statements);
    }
    prepared
        .retain(|statement| statement.contains("db_driver='diesel-async'") && !statement.contains("'test'"));
    let action = |statement: &String| {
        let (_, rest) = statement.split_once("action='").unwrap();
        rest.split_once('\'').unwrap().0.to_owned()
    };
    let mut actions: Vec<String> = prepared.iter().map(action).collect();
    actions.sort();
    assert_eq!(
        actions,
        [
            "cancel_order",
            "cancel_orders",
            "claim_order",
            "claim_order_alone",
            "complete_order",
            "complete_order_alone",
            "count_orders",
            "count_orders_by_failure",
            "count_orders_by_payment",
            "count_orders_by_status",
            "count_own_orders",
            "count_own_orders_by_status",
            "count_prunable_orders",
            "count_unfinished_of",
            "create_order",
            "create_order_once",
            "delete_expired_keys",
            "delete_samples",
            "dispatch_all_now",
            "dispatch_now",
            "end_attempt",
            "end_attempt_alone",
            "end_lease",
            "erase_keys",
            "erase_orders",
            "find_claimed_order",
            "find_first_order",
            "find_operation",
            "find_order",
            "find_orders",
            "fold_totals",
            "give_back_orders",
            "hold_lease",
            "latest_totals",
            "list_operations",
            "list_orders",
            "list_orders_by_failure",
            "list_orders_by_payment",
            "list_orders_by_status",
            "list_own_orders",
            "list_own_orders_by_status",
            "next_operation",
            "next_sample",
            "oldest_due",
            "order_history",
            "pause_queue",
            "pending_of",
            "prune_operations",
            "prune_orders",
            "queue_state",
            "record_intent",
            "record_intent_alone",
            "renew_lease",
            "resume_queue",
            "retry_order",
            "retry_orders",
            "samples",
            "search_by_payment",
            "search_by_trace",
            "settle_order",
            "start_operation",
            "store_totals",
            "take_due_attempted",
            "take_due_orders",
            "total_orders",
            "total_own_orders",
            "totals_fold_end",
            "totals_fold_state",
            "totals_watermark",
            "unfinished",
            "unsettled_orders",
            "write_sample",
        ]
    );
}

/// With so many calls.
async fn run_every_batch(connection: &mut LaneConnection, size: usize) {
    let minute = Duration::from_secs(60);
    let (mut create, mut create_once) = (vec![], vec![]);
    let (mut claims, mut records, mut completions, mut endings) = (vec![], vec![], vec![], vec![]);
    let new = |order| NewOrder {
        order: Arc::new(order),
        grace: minute,
    };
    for _ in 0..size {
        let order = new_order(OrderId::generate());
        let claim = Claim {
            order: order.id,
            attempt: domain::Attempt::FIRST,
            token: order.id.as_uuid(),
        };
        claims.push(Arc::new(NewClaim {
            claim,
            trace: order.trace.clone(),
            lease: minute,
            transition: "\"processing\"]".to_owned(),
        }));
        records.push(Arc::new(IntentRecord {
            claim,
            payment: "pi_1".to_owned(),
        }));
        completions.push(Arc::new(Completion {
            claim,
            payment: Some("pi_1".to_owned()),
        }));
        let next = Next::After(minute);
        endings.push(Arc::new(Ending::uncounted(claim, "released", next)));
        create_once.push(NewOrderOnce {
            new: new(new_order(OrderId::generate())),
            key: order.id.to_string(),
            fingerprint: [0; 32],
            fingerprint_version: 1,
        });
        create.push(new(order));
    }
    let ids: Vec<OrderId> = create.iter().map(|new| new.order.id).collect();
    InsertOrders::run(connection, &create).await.unwrap();
    InsertOrdersOnce::run(connection, &create_once).await.unwrap();
    FindOrders::run(connection, &ids).await.unwrap();
    let claimed = Each::run(connection, &claims).await.unwrap();
    assert_eq!(claimed.into_iter().flatten().count(), size);
    // The orders have no payment.
    Each::run(connection, &records).await.unwrap_err();
    Each::run(connection, &completions).await.unwrap_err();
    let ended = Each::run(connection, &endings).await.unwrap();
    assert_eq!(ended.into_iter().flatten().count(), size);
}

/// With new values at each call.
async fn run_every_statement(store: &Store) {
    let (id, customer) = (OrderId::generate(), domain::CustomerId::anonymous());
    let (trace, minute) = (domain::TraceContext::default(), Duration::from_secs(60));
    let failure = Failure::new(FailureCode::PaymentTimeout, "no response");
    let order = store.create(new_order(id), minute).await.unwrap();
    let once = once(id);
    for _ in 0..2 {
        store
            .create_once(new_order(OrderId::generate()), minute, &once)
            .await
            .unwrap();
    }
    store.delete_expired_keys(1).await.unwrap();
    run_maintenance(store, &customer).await;
    let job = order.next_job();
    let claim = Claim::of(&job);
    store.dispatch_now(id).await.unwrap();
    store.give_back(&[id]).await.unwrap();
    store.give_back(&[id, OrderId::generate()]).await.unwrap();
    store.dispatch_all_now(DateTime::<Utc>::MAX_UTC).await.unwrap();
    store.take_due(10).await.unwrap();
    store.take_due_attempted(crate::EVER, 10).await.unwrap();
    store.oldest_due().await.unwrap();
    store.unfinished().await.unwrap();
    store.hold_lease("test", id.as_uuid(), minute).await.unwrap();
    store.end_lease("test", id.as_uuid()).await.unwrap();
    for claimed in [true, false] {
        let by = if claimed { claim } else { Claim::of(&job) };
        let result = store.claim(&job, by, "worker-1", &trace, minute).await;
        assert_eq!(result.unwrap().is_some(), claimed);
    }
    store.find_claimed(claim).await.unwrap().unwrap();
    store.renew(claim, minute).await.unwrap();
    store.release(claim).await.unwrap();
    store.back_off(claim, &failure, minute).await.unwrap();
    store.wait_for_gateway(claim, &failure, minute).await.unwrap();
    store.leave_unreadable(claim).await.unwrap();
    store.record_intent(claim, "pi_1").await.unwrap();
    let unchanged = Settlement::Unchanged;
    store.fail(claim, &failure, unchanged).await.unwrap();
    store.unsettled(Some(id), 10).await.unwrap();
    store.settle(id, unchanged, Some("pi_1")).await.unwrap();
    store.complete(claim, None).await.unwrap();
    store.history(id, None).await.unwrap();
    store.retry(id, &Actor::System).await.unwrap();
    store.cancel(id, Some(&customer), &Actor::System).await.unwrap();
    store.cancel(id, None, &Actor::System).await.unwrap();
    for ids in [vec![id], vec![id, OrderId::generate()]] {
        store.find_many(&ids).await.unwrap();
    }
    run_lists(store, id, &customer).await;
    run_operations(store).await;
    for customer in [Some(&customer), None] {
        store.find(id, customer).await.unwrap();
        store.totals(customer).await.unwrap();
    }
}

async fn run_lists(store: &Store, id: OrderId, customer: &domain::CustomerId) {
    let filter = OrderFilter::default;
    let by_code = OrderFilter {
        failure_code: Some(FailureCode::PaymentTimeout),
        ..filter()
    };
    let refused = OrderFilter {
        payment_status: Some(domain::PaymentStatus::Refused),
        ..filter()
    };
    let mut filters = vec![by_code, refused];
    for customer in [Some(customer), None] {
        for status in [Some(domain::OrderStatus::Failed), None] {
            filters.push(OrderFilter {
                customer: customer.cloned(),
                status,
                ..filter()
            });
        }
    }
    for filter in &filters {
        store.list(filter, Sort::NewestFirst, Some(id), 5).await.unwrap();
        store.count(filter).await.unwrap();
    }
    store.search("pi_1").await.unwrap();
    store.search(&"1".repeat(32)).await.unwrap();
}

async fn run_operations(store: &Store) {
    let actor = Actor::System;
    let failed = OrderFilter {
        failure_code: Some(FailureCode::CardDeclined),
        ..OrderFilter::default()
    };
    for change in [Change::Retry, Change::Cancel] {
        let operation = store.start_operation(change, &failed, &actor).await.unwrap();
        store.operation(operation.id).await.unwrap();
    }
    while store.execute_operation(1).await.unwrap().is_some() {}
    store.operations(1).await.unwrap();
    store.prune_operations(Duration::ZERO).await.unwrap();
    store.pause(&actor).await.unwrap();
    store.queue_state().await.unwrap();
    store.resume(&actor).await.unwrap();
    for _ in 0..2 {
        // The first call of a new table fills a gap.
        while store.write_sample(None).await.unwrap() {}
    }
    store.samples(DateTime::UNIX_EPOCH, Duration::ZERO).await.unwrap();
}

async fn run_maintenance(store: &Store, customer: &domain::CustomerId) {
    let hour = Duration::from_secs(3600);
    store.prune(&mut Prune::older_than(hour), 1).await.unwrap();
    store
        .count_prunable(&mut Prune::older_than(hour), 1)
        .await
        .unwrap();
    let mut fold = TotalsFold::with_margin(Duration::ZERO);
    for _ in 0..2 {
        store.fold_totals(&mut fold, 1).await.unwrap();
    }
    // Before it is stored, the total is counted.
    store.totals(None).await.unwrap();
    store.store_totals(Duration::ZERO).await.unwrap();
    let unknown = domain::CustomerId::new("erased").unwrap();
    store.unfinished_of(customer).await.unwrap();
    store.pending_of(customer, None, 1).await.unwrap();
    store
        .erase_orders(&mut Erasure::of(unknown.clone()), 1)
        .await
        .unwrap();
    store.erase_keys(&unknown, 1).await.unwrap();
}

fn new_order(id: OrderId) -> Order {
    let draft = OrderDraft {
        product_name: Some("Widget".to_owned()),
        amount: Some(serde_json::from_str("1").unwrap()),
        ..OrderDraft::default()
    };
    let customer = domain::CustomerId::anonymous();
    Order::new(
        id,
        customer,
        draft.validate().unwrap(),
        domain::TraceContext::default(),
    )
}

fn once(id: OrderId) -> Once {
    Once {
        key: IdempotencyKey::new(&id.to_string()).unwrap(),
        fingerprint: [0; 32],
        fingerprint_version: 1,
    }
}

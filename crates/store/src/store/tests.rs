//! What only the pool itself can show: its connections, and their prepared statements.

use std::time::Duration;

use diesel::dsl::sql;
use diesel::sql_types::{BigInt, Bool, Text};
use domain::{Failure, FailureCode, OrderDraft, OrderId};

use super::*;
use crate::attempt::ClaimToken;
use crate::idempotency::{IdempotencyKey, Once};
use crate::settlement::Settlement;

telemetry::statement! {
    Sleep: "SELECT" "pg_sleep", action "test", framework "none";
    Count: "SELECT" "pg_stat_activity", action "test", framework "none";
    PreparedText: "SELECT" "pg_prepared_statements", action "test", framework "none";
}

async fn store(database: &testkit::Database, statement_timeout: Duration) -> Store {
    Store::new(StoreConfig {
        pool_size: 1,
        statement_timeout,
        ..StoreConfig::new(database.url(), "store-test")
    })
    .unwrap()
}

async fn sleep(store: &Store, seconds: u32) -> Result<Vec<bool>, StoreError> {
    let query = diesel::select(sql::<Bool>(&format!("pg_sleep({seconds}) IS NULL")));
    store.pg.rows::<Sleep, _, _>(query).await
}

async fn asleep(store: &Store) -> i64 {
    let query = diesel::select(sql::<BigInt>(
        "(SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(%' AND state = 'active' \
         AND datname = current_database() AND pid <> pg_backend_pid())",
    ));
    store.pg.row::<Count, _, _>(query).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_dropped_call_closes_its_connection_and_the_server_ends_its_statement() {
    let database = testkit::database().await.unwrap();
    let store = store(&database, Duration::from_secs(2)).await;
    let watcher = self::store(&database, Duration::from_secs(5)).await;

    let abandoned = tokio::spawn({
        let store = store.clone();
        async move { sleep(&store, 600).await }
    });
    testkit::eventually("the statement to run", Duration::from_secs(10), async || {
        (asleep(&watcher).await == 1).then_some(())
    })
    .await;
    abandoned.abort();
    assert!(abandoned.await.unwrap_err().is_cancelled());
    assert_eq!(store.pool_state().used + store.pool_state().idle, 0);

    // The pool's only connection was in that call; this call has a new one, and reads its own response.
    assert_eq!(sleep(&store, 0).await.unwrap(), [false]);
    testkit::eventually("the server to end it", Duration::from_secs(20), async || {
        (asleep(&watcher).await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_statement_that_takes_too_long_is_a_timeout_and_its_connection_stays() {
    let database = testkit::database().await.unwrap();
    let store = store(&database, Duration::from_millis(100)).await;
    let error = sleep(&store, 600).await.unwrap_err();
    assert!(matches!(error, StoreError::Timeout(_)), "{error:?}");
    assert_eq!(store.pool_state().used + store.pool_state().idle, 1);
}

#[tokio::test]
async fn every_statement_is_prepared_once_per_connection() {
    let database = testkit::database().await.unwrap();
    crate::migrate(database.url()).await.unwrap();
    let store = store(&database, Duration::from_secs(5)).await;
    for _ in 0..3 {
        run_every_statement(&store).await;
    }
    let query = diesel::select(sql::<Text>("statement FROM pg_prepared_statements"));
    let mut prepared: Vec<String> = store.pg.rows::<PreparedText, _, _>(query).await.unwrap();
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
            "back_off_order",
            "cancel_order",
            "claim_order",
            "complete_order",
            "create_order",
            "create_order_once",
            "delete_expired_keys",
            "dispatch_all_now",
            "dispatch_now",
            "end_lease",
            "fail_order",
            "find_first_order",
            "find_order",
            "find_orders",
            "give_back_orders",
            "hold_lease",
            "leave_unreadable_order",
            "list_orders",
            "list_orders_by_status",
            "list_own_orders",
            "list_own_orders_by_status",
            "oldest_due",
            "record_intent",
            "release_order",
            "renew_lease",
            "retry_order",
            "settle_order",
            "take_due_attempted",
            "take_due_orders",
            "total_orders",
            "total_own_orders",
            "unfinished",
            "unsettled_orders",
            "wait_for_gateway",
        ]
    );
}

/// With new values at each call.
async fn run_every_statement(store: &Store) {
    let (id, customer) = (OrderId::generate(), domain::CustomerId::anonymous());
    let draft = OrderDraft {
        product_name: Some("Widget".to_owned()),
        amount: Some(serde_json::from_str("1").unwrap()),
        ..OrderDraft::default()
    };
    let (new, trace, minute) = (
        draft.validate().unwrap(),
        domain::TraceContext::default(),
        Duration::from_secs(60),
    );
    let failure = Failure::new(FailureCode::PaymentTimeout, "no response");
    let new_order = |id| Order::new(id, customer.clone(), new.clone(), trace.clone());
    let order = store.create(new_order(id), minute).await.unwrap();
    let once = Once {
        key: IdempotencyKey::new(&id.to_string()).unwrap(),
        fingerprint: [0; 32],
        fingerprint_version: 1,
    };
    for _ in 0..2 {
        store
            .create_once(new_order(OrderId::generate()), minute, &once)
            .await
            .unwrap();
    }
    store.delete_expired_keys(1).await.unwrap();
    let job = order.next_job();
    let attempt = job.attempt;
    store.dispatch_now(id).await.unwrap();
    store.give_back(&[id]).await.unwrap();
    store.give_back(&[id, OrderId::generate()]).await.unwrap();
    store.dispatch_all_now().await.unwrap();
    store.take_due(10).await.unwrap();
    store.take_due_attempted(10).await.unwrap();
    store.oldest_due().await.unwrap();
    store.unfinished().await.unwrap();
    store.hold_lease("test", id.as_uuid(), minute).await.unwrap();
    store.end_lease("test", id.as_uuid()).await.unwrap();
    store
        .claim(&job, ClaimToken::draw(), &trace, minute)
        .await
        .unwrap();
    store.renew(id, attempt, minute).await.unwrap();
    store.release(id, attempt).await.unwrap();
    store.back_off(id, attempt, &failure, minute).await.unwrap();
    store
        .wait_for_gateway(id, attempt, &failure, minute)
        .await
        .unwrap();
    store.leave_unreadable(id, attempt).await.unwrap();
    store.record_intent(id, attempt, "pi_1").await.unwrap();
    let unchanged = Settlement::Unchanged;
    store.fail(id, attempt, &failure, unchanged).await.unwrap();
    store.unsettled(Some(id), 10).await.unwrap();
    store.settle(id, unchanged, Some("pi_1")).await.unwrap();
    store.complete(id, attempt, None).await.unwrap();
    store.retry(id).await.unwrap();
    store.cancel(id, Some(&customer)).await.unwrap();
    store.cancel(id, None).await.unwrap();
    for ids in [vec![id], vec![id, OrderId::generate()]] {
        store.find_many(&ids).await.unwrap();
    }
    for customer in [Some(&customer), None] {
        store.find(id, customer).await.unwrap();
        store.totals(customer).await.unwrap();
        for status in [Some(domain::OrderStatus::Pending), None] {
            store.list(customer, status, Some(id), 5).await.unwrap();
        }
    }
}

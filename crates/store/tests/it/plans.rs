//! Each hot statement reads through its index, whatever the statistics say about the table, and its cost does
//! not grow with the number of orders.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::Duration;

use chrono::{DateTime, Utc};
use domain::{Attempt, Failure, FailureCode, Order, OrderId, OrderStatus, PaymentStatus};
use testkit::{Database, Postgres};
use throughline_store::{
    Claim, CreatedOnce, EVER, IdempotencyKey, Once, OrderFilter, Settlement, Sort, Store, StoreConfig,
};
use tokio_postgres::Client;

use crate::settlement::unsettled;
use crate::setup::{Fixture, MINUTE, claim_by, claim_of, customer, draft, free, operator, trace};

/// The statements, by the action in their comment, and the indexes of `orders` and `idempotency_keys` that
/// each reads.
const INDEXES: [(&str, &[&str]); 36] = [
    ("create_order", &[]),
    ("create_order_once", &[]),
    ("find_first_order", &["idempotency_keys_pkey", "orders_pkey"]),
    ("delete_expired_keys", &["idempotency_keys_by_age"]),
    ("claim_order", &["orders_pkey"]),
    ("claim_order_alone", &["orders_pkey"]),
    ("renew_lease", &["orders_pkey"]),
    ("record_intent", &["orders_pkey"]),
    ("record_intent_alone", &["orders_pkey"]),
    ("complete_order", &["orders_pkey"]),
    ("complete_order_alone", &["orders_pkey"]),
    ("end_attempt", &["orders_pkey"]),
    ("end_attempt_alone", &["orders_pkey"]),
    ("cancel_order", &["orders_pkey"]),
    ("dispatch_now", &["orders_pkey"]),
    ("give_back_orders", &["orders_pkey"]),
    ("dispatch_all_now", &["orders_due", "orders_pkey"]),
    ("take_due_orders", &["orders_due", "orders_pkey"]),
    ("take_due_attempted", &["orders_due_attempted", "orders_pkey"]),
    ("unsettled_orders", &["orders_unsettled"]),
    ("find_claimed_order", &["orders_pkey"]),
    ("find_order", &["orders_pkey"]),
    ("find_orders", &["orders_pkey"]),
    ("order_history", &["orders_pkey"]),
    ("list_orders", &["orders_pkey"]),
    ("list_orders_by_status", &["orders_not_completed"]),
    ("list_own_orders", &["orders_of_customer"]),
    ("list_own_orders_by_status", &["orders_unsuccessful_of_customer"]),
    ("list_orders_by_failure", &["orders_by_failure"]),
    ("list_orders_by_payment", &["orders_by_payment"]),
    ("count_orders_by_status", &["orders_not_completed"]),
    ("count_own_orders_by_status", &["orders_unsuccessful_of_customer"]),
    ("count_orders_by_failure", &["orders_by_failure"]),
    ("count_orders_by_payment", &["orders_by_payment"]),
    ("search_by_trace", &["orders_by_trace", "orders_due"]),
    ("search_by_payment", &["orders_by_payment_id", "orders_due"]),
];

/// Nearly all orders are final and of one customer; some are due, and some keys have expired.
const TABLES: &str = "
    ALTER TABLE orders SET (autovacuum_enabled = false);
    ALTER TABLE idempotency_keys SET (autovacuum_enabled = false);
    INSERT INTO orders (id, amount, customer, currency, payment_status, items, dispatch_after)
    SELECT lpad(to_hex(n), 32, '0')::uuid, 1, 'ada', 'USD', 'not_required', '[]', now()
    FROM generate_series(1, 20000) AS n;
    INSERT INTO idempotency_keys (created_at, order_id, customer, key, fingerprint)
    SELECT now() - n * interval '1 minute', lpad(to_hex(n), 32, '0')::uuid, 'ada', 'key' || n,
        decode(repeat('00', 32), 'hex')
    FROM generate_series(1, 5000) AS n;";
const MOST_ARE_FINAL: &str = "
    UPDATE orders SET status = 'completed', dispatch_after = NULL, completed_at = now()
    WHERE id > '00000000-0000-0000-0000-000000000100';";

/// What PostgreSQL believes about the tables.
const STATISTICS: [(&str, [&str; 4]); 4] = [
    ("never analyzed", [TABLES, MOST_ARE_FINAL, "", ""]),
    ("fresh", [TABLES, MOST_ARE_FINAL, "ANALYZE", ""]),
    (
        "of a burst, when all orders were due",
        [TABLES, "ANALYZE", MOST_ARE_FINAL, ""],
    ),
    ("of empty tables", ["ANALYZE", TABLES, MOST_ARE_FINAL, ""]),
];

/// The plan of every statement of these sessions is written to the server's log.
const LOG_PLANS: &str = "
    DO $$ BEGIN
        EXECUTE format('ALTER DATABASE %I SET session_preload_libraries = auto_explain', current_database());
        EXECUTE format('ALTER DATABASE %I SET auto_explain.log_min_duration = 0', current_database());
    END $$";

#[tokio::test]
async fn each_statement_uses_its_index_whatever_the_statistics_say() {
    let postgres = Postgres::start().await.unwrap();
    let mut wrong = Vec::new();
    for (statistics, steps) in STATISTICS {
        for mode in ["force_generic_plan", "force_custom_plan"] {
            let database = postgres.database().await.unwrap();
            throughline_store::migrate(database.url()).await.unwrap();
            let sql = database.connect().await.unwrap();
            for step in steps {
                sql.batch_execute(step).await.unwrap();
            }
            let plans = plans(&postgres, &database, &sql, mode).await;
            for (action, expected) in INDEXES {
                let expected: BTreeSet<String> = expected.iter().map(|index| (*index).to_owned()).collect();
                if plans[action] != expected {
                    wrong.push(format!("{statistics}, {mode}: {action} uses {:?}", plans[action]));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The indexes that each statement uses, by its action; a sequential scan counts as one.
async fn plans(
    postgres: &Postgres,
    database: &Database,
    sql: &Client,
    mode: &str,
) -> BTreeMap<String, BTreeSet<String>> {
    let set = format!(
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET plan_cache_mode = {mode}', current_database()); END $$"
    );
    sql.batch_execute(&set).await.unwrap();
    sql.batch_execute(LOG_PLANS).await.unwrap();
    let log = postgres.folder().join("server.log");
    let before = fs::metadata(&log).unwrap().len();
    let store = Store::new(StoreConfig::new(database.url(), "store-test")).unwrap();
    run_all(&store).await;
    testkit::eventually("the plan of each statement", MINUTE, async || {
        let text = fs::read(&log).unwrap();
        let text = String::from_utf8_lossy(text.get(usize::try_from(before).unwrap()..)?).into_owned();
        let plans = read_plans(&text);
        INDEXES
            .iter()
            .all(|(action, _)| plans.contains_key(*action))
            .then_some(plans)
    })
    .await
}

/// An entry begins with a line that is not indented.
fn read_plans(log: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut plans: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut action = None;
    for line in log.lines() {
        if !line.starts_with('\t') {
            action = None;
        }
        if let Some((_, rest)) = line.split_once("/*action='") {
            action = rest.split('\'').next();
        }
        let Some(action) = action else { continue };
        let indexes = plans.entry(action.to_owned()).or_default();
        let words: Vec<&str> = line.split_whitespace().collect();
        for at in words.windows(3) {
            match at {
                ["using", index, "on"] => drop(indexes.insert((*index).to_owned())),
                ["Index", "Scan", "on"] | ["Seq", "Scan", "on"] => {
                    let scanned = words.iter().skip_while(|word| **word != "on").nth(1).unwrap();
                    let is_table = at[0] == "Seq";
                    indexes.insert(if is_table {
                        format!("Seq Scan on {scanned}")
                    } else {
                        (*scanned).to_owned()
                    });
                }
                _ => {}
            }
        }
    }
    plans
}

/// Runs each statement of [`INDEXES`].
async fn run_all(store: &Store) {
    let failure = Failure::new(FailureCode::PaymentTimeout, "No response.");
    let create = async |new: domain::NewOrder| {
        let order = Order::new(OrderId::generate(), customer(), new, trace(1));
        store.create(order, MINUTE).await.unwrap()
    };
    let claimed = async || {
        let new = draft(r#"{"product_name":"Widget","amount":"10","payment_method":"credit_card"}"#);
        let order = create(new).await;
        let (job, context) = (order.next_job(), trace(2));
        let claim = |claim| store.claim(&job, claim, "worker-1", &context, MINUTE);
        let claimed = claim(claim_by(&job)).await.unwrap().unwrap();
        assert!(
            claim(Claim::of(&job)).await.unwrap().is_none(),
            "the statement for one order runs"
        );
        claimed.id
    };
    let first = Attempt::FIRST;

    let id = claimed().await;
    assert!(store.renew(claim_of(id, first), MINUTE).await.unwrap());
    assert!(store.record_intent(claim_of(id, first), "pi_1").await.unwrap());
    store
        .complete(claim_of(id, first), Some("pi_1"))
        .await
        .unwrap()
        .unwrap();
    store.find_claimed(claim_of(id, first)).await.unwrap().unwrap();
    // Now the statements for one order run.
    assert!(!store.record_intent(claim_of(id, first), "pi_1").await.unwrap());
    assert!(store.complete(claim_of(id, first), None).await.unwrap().is_none());
    assert!(store.release(claim_of(id, first)).await.unwrap().is_none());
    let id = claimed().await;
    let failed = store
        .fail(claim_of(id, first), &failure, Settlement::Cancelled)
        .await;
    failed.unwrap().unwrap();
    store.settle(id, Settlement::Cancelled, None).await.unwrap();
    store.retry(id, &operator()).await.unwrap();
    let backed_off = store
        .back_off(claim_of(claimed().await, first), &failure, MINUTE)
        .await;
    backed_off.unwrap().unwrap();
    let waits = store
        .wait_for_gateway(claim_of(claimed().await, first), &failure, MINUTE)
        .await;
    waits.unwrap().unwrap();
    store
        .release(claim_of(claimed().await, first))
        .await
        .unwrap()
        .unwrap();
    assert!(
        store
            .leave_unreadable(claim_of(claimed().await, first))
            .await
            .unwrap()
    );

    let order = create(free()).await;
    store.dispatch_now(order.id).await.unwrap();
    store.give_back(&[order.id]).await.unwrap();
    store.cancel(order.id, None, &operator()).await.unwrap();
    store.dispatch_all_now(DateTime::<Utc>::MAX_UTC).await.unwrap();
    assert!(!store.take_due(10).await.unwrap().is_empty());
    store.take_due_attempted(EVER, 10).await.unwrap();
    store.unsettled(None, 10).await.unwrap();

    let once = Once {
        key: IdempotencyKey::new("key").unwrap(),
        fingerprint: [7; 32],
        fingerprint_version: 1,
    };
    for _ in 0..2 {
        let order = Order::new(OrderId::generate(), customer(), free(), trace(1));
        let created = store.create_once(order, Duration::ZERO, &once).await.unwrap();
        assert!(matches!(created, CreatedOnce::New(_) | CreatedOnce::Replayed(_)));
    }
    assert!(store.delete_expired_keys(10).await.unwrap() > 0);

    store.find(order.id, None).await.unwrap().unwrap();
    store.find_many(&[order.id, id]).await.unwrap();
    store.history(id, None).await.unwrap().unwrap();
    let filter = OrderFilter::default;
    for customer in [None, Some(customer())] {
        for status in [None, Some(OrderStatus::Failed)] {
            let of_status = OrderFilter {
                customer: customer.clone(),
                status,
                ..filter()
            };
            list(store, &of_status, Some(order.id)).await;
            store.count(&of_status).await.unwrap();
        }
    }
    let (failure_code, payment_status) = (Some(FailureCode::PaymentTimeout), Some(PaymentStatus::Refused));
    for rare in [
        OrderFilter {
            failure_code,
            ..filter()
        },
        OrderFilter {
            payment_status,
            ..filter()
        },
    ] {
        list(store, &rare, None).await;
        store.count(&rare).await.unwrap();
    }
    store.search("pi_1").await.unwrap();
    store.search(&"1".repeat(32)).await.unwrap();
}

/// In both directions.
async fn list(store: &Store, filter: &OrderFilter, after: Option<OrderId>) {
    for sort in [Sort::NewestFirst, Sort::OldestFirst] {
        store.list(filter, sort, after, 20).await.unwrap();
    }
}

/// The failures of an old incident, and everything that was completed since.
const ORDERS: &str = "
    INSERT INTO orders (id, amount, customer, currency, payment_status, items, status, completed_at,
        failure_code, failure_detail)
    SELECT lpad(to_hex(n), 32, '0')::uuid, 1, 'ada', 'USD', 'not_required', '[]',
        CASE WHEN n <= 2000 THEN 'failed' ELSE 'completed' END, now(),
        CASE WHEN n <= 2000 THEN 'payment_timeout' END, CASE WHEN n <= 2000 THEN '' END
    FROM generate_series(1, 40000) AS n;";

#[tokio::test]
async fn an_old_incidents_failures_and_unsettled_payments_are_found_without_reading_the_rest() {
    let fixture = Fixture::new().await;
    fixture.sql.batch_execute(ORDERS).await.unwrap();
    let ids = unsettled(&fixture, &[OrderStatus::Failed; 3]).await;
    fixture.sql.batch_execute("ANALYZE orders").await.unwrap();
    let count = async |what: &str| -> i64 { fixture.sql.query_one(what, &[]).await.unwrap().get(0) };
    for plan in ["force_generic_plan", "force_custom_plan"] {
        let set = format!(
            "SELECT pg_stat_reset();
             DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET plan_cache_mode = {plan}', current_database()); END $$"
        );
        fixture.sql.batch_execute(&set).await.unwrap();
        let store = Store::new(StoreConfig::new(fixture.database.url(), "store-test")).unwrap();
        let failed = OrderFilter {
            status: Some(OrderStatus::Failed),
            ..OrderFilter::default()
        };
        let first = store.list(&failed, Sort::NewestFirst, None, 20).await.unwrap();
        let last = first[19].as_ref().map_or_else(|row| row.id, |order| order.id);
        let second = store.list(&failed, Sort::NewestFirst, Some(last), 20).await;
        assert_eq!(second.unwrap().len(), 20);
        assert_eq!(store.unsettled(None, 10).await.unwrap().len(), ids.len());
        // A connection reports its statistics when it ends, if not before.
        drop(store);
        let scans = "SELECT (pg_stat_get_numscans('orders_not_completed'::regclass) \
            + pg_stat_get_numscans('orders_unsettled'::regclass))::int8";
        testkit::eventually("scans of both indexes", MINUTE, async || {
            (count(scans).await >= 3).then_some(())
        })
        .await;
        let read =
            "SELECT (idx_tup_fetch + seq_tup_read)::int8 FROM pg_stat_user_tables WHERE relname = 'orders'";
        let read = count(read).await;
        assert!(read < 100, "{plan}: {read} rows read");
    }
}

//! Statements that carry many calls. The tests hold a lane's first statement with a lock, so that the calls
//! after it share the second one.

use std::fmt::Debug;
use std::time::Duration;

use domain::{CustomerId, Money, Order, OrderId, ProcessOrder};
use futures_util::future::join_all;
use throughline_store::{Claim, CreatedOnce, IdempotencyKey, Once, Store, StoreConfig, StoreError};
use tokio::task::JoinHandle;

use crate::setup::{Fixture, MINUTE, attempt, claim_by, claim_of, customer, free, trace};

/// Statements of the store that wait for a lock.
const WAITING: &str = "SELECT count(*) FROM pg_stat_activity \
    WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Ends their connections.
const END_WAITING: &str = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
    WHERE datname = current_database() AND wait_event_type = 'Lock'";

/// Waits until one statement waits for a lock. On a connection outside the transaction that holds the lock,
/// which would see one state of `pg_stat_activity`.
async fn one_waits(fixture: &Fixture) {
    let sql = fixture.database.connect().await.unwrap();
    testkit::eventually("a statement to wait for the lock", MINUTE, async || {
        let waiting: i64 = sql.query_one(WAITING, &[]).await.unwrap().get(0);
        (waiting == 1).then_some(())
    })
    .await;
}

/// How many statements created the orders: `created_at` is the start of the statement.
const STATEMENTS: &str = "SELECT count(DISTINCT created_at) FROM orders";

impl Fixture {
    async fn count(&self, query: &str) -> i64 {
        self.sql.query_one(query, &[]).await.unwrap().get(0)
    }

    /// Runs `first`, which waits for the table's lock, then `others` behind it; unlocks with `unlock`.
    async fn behind_a_lock<T: Send + 'static>(
        &self,
        lock: &str,
        first: impl Future<Output = T> + Send + 'static,
        others: Vec<impl Future<Output = T> + Send + 'static>,
        unlock: &str,
    ) -> Vec<T> {
        let (first, others) = self.hold(lock, first, others).await;
        self.sql.batch_execute(unlock).await.unwrap();
        let mut outputs = vec![first.await.unwrap()];
        for output in join_all(others).await {
            outputs.push(output.unwrap());
        }
        outputs
    }

    /// Runs `first`, then `others` in one statement, whose connection ends while it waits for the lock: each
    /// of its calls is in doubt. Returns the output of `first`.
    async fn break_statement<T: Send + Debug + 'static>(
        &self,
        first: impl Future<Output = Result<T, StoreError>> + Send + 'static,
        others: Vec<impl Future<Output = Result<T, StoreError>> + Send + 'static>,
    ) -> T {
        let (first, others) = self.hold(LOCK, first, others).await;
        let relock = format!("COMMIT; BEGIN; {LOCK}");
        self.sql.batch_execute(&relock).await.unwrap();
        let first = first.await.unwrap().unwrap();
        one_waits(self).await;
        assert_eq!(self.count(END_WAITING).await, 1);
        for other in join_all(others).await {
            let error = other.unwrap().unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        }
        self.sql.batch_execute("COMMIT").await.unwrap();
        first
    }

    /// Starts `first`, which waits for the table's lock, then `others` behind it.
    async fn hold<T: Send + 'static>(
        &self,
        lock: &str,
        first: impl Future<Output = T> + Send + 'static,
        others: Vec<impl Future<Output = T> + Send + 'static>,
    ) -> (JoinHandle<T>, Vec<JoinHandle<T>>) {
        self.sql.batch_execute(&format!("BEGIN; {lock}")).await.unwrap();
        let first = tokio::spawn(first);
        one_waits(self).await;
        let others = others.into_iter().map(tokio::spawn).collect();
        // The spawned calls are in the lane's queue before this runs on: one thread runs them all.
        tokio::task::yield_now().await;
        (first, others)
    }
}

fn new_order() -> Order {
    Order::new(OrderId::generate(), customer(), free(), trace(1))
}

fn creation(store: &Store, order: Order) -> impl Future<Output = Result<Order, StoreError>> + use<> {
    let store = store.clone();
    async move { store.create(order, MINUTE).await }
}

fn creations(
    store: &Store,
    orders: Vec<Order>,
) -> Vec<impl Future<Output = Result<Order, StoreError>> + use<>> {
    orders.into_iter().map(|order| creation(store, order)).collect()
}

fn new_orders(count: usize) -> Vec<Order> {
    (0..count).map(|_| new_order()).collect()
}

const LOCK: &str = "LOCK TABLE orders IN SHARE MODE";

#[tokio::test]
async fn orders_that_arrive_during_a_statement_share_the_next() {
    let fixture = Fixture::new().await;
    let first = creation(&fixture.store, new_order());
    let others = creations(&fixture.store, new_orders(20));
    let created = fixture.behind_a_lock(LOCK, first, others, "COMMIT").await;
    for order in created {
        let order = order.unwrap();
        let found = fixture.find(order.id).await;
        assert_eq!(format!("{found:?}"), format!("{order:?}"));
    }
    assert_eq!(fixture.count(STATEMENTS).await, 2);
}

/// Each statement is a commit, so these are also the commits of an order's life without a payment. Every
/// statement writes its start into the rows.
#[tokio::test]
async fn sixteen_orders_at_once_take_as_many_statements_as_one() {
    for orders in [1, 16] {
        let fixture = Fixture::new().await;
        let store = &fixture.store;
        let created = join_all(creations(store, new_orders(orders))).await;
        let created: Vec<Order> = created.into_iter().map(Result::unwrap).collect();
        let context = trace(2);
        let claims = created.iter().map(async |order| {
            let job = order.next_job();
            let claimed = store
                .claim(&job, claim_by(&job), "worker-1", &context, MINUTE)
                .await;
            claimed.unwrap().unwrap()
        });
        let claimed = join_all(claims).await;
        let claims = fixture
            .count("SELECT count(DISTINCT updated_at) FROM orders")
            .await;
        let completions = claimed.iter().map(async |order| {
            let completion = store.complete(claim_of(order.id, order.attempt), None);
            completion.await.unwrap().unwrap()
        });
        join_all(completions).await;
        let completions = fixture
            .count("SELECT count(DISTINCT completed_at) FROM orders")
            .await;
        let statements = (fixture.count(STATEMENTS).await, claims, completions);
        assert_eq!(statements, (1, 1, 1), "{orders} orders");
    }
}

#[tokio::test]
async fn an_invalid_order_fails_alone() {
    let fixture = Fixture::new().await;
    let check = "ALTER TABLE orders ADD CONSTRAINT no_twelve CHECK (amount <> 12)";
    fixture.sql.batch_execute(check).await.unwrap();
    let mut invalid = new_order();
    invalid.amount = Money::from_minor(12, invalid.amount.currency()).unwrap();
    let mut others = new_orders(5);
    others.insert(2, invalid);
    let others = creations(&fixture.store, others);
    let first = creation(&fixture.store, new_order());
    let created = fixture.behind_a_lock(LOCK, first, others, "COMMIT").await;
    for (n, created) in created.iter().enumerate() {
        match created {
            Ok(order) => drop(fixture.find(order.id).await),
            Err(error) => assert!(n == 3 && matches!(error, StoreError::Query(_)), "{n}: {error:?}"),
        }
    }
    assert_eq!(fixture.count("SELECT count(*) FROM orders").await, 6);
}

#[tokio::test]
async fn all_orders_of_a_statement_that_breaks_are_in_doubt() {
    let fixture = Fixture::new().await;
    // Prepares the statement, which takes and releases the lock that it needs later.
    creation(&fixture.store, new_order()).await.unwrap();
    let first = creation(&fixture.store, new_order());
    let others = creations(&fixture.store, new_orders(5));
    fixture.break_statement(first, others).await;
    assert_eq!(fixture.count("SELECT count(*) FROM orders").await, 2);
    // The lane has a new connection.
    creation(&fixture.store, new_order()).await.unwrap();
}

#[tokio::test]
async fn of_two_requests_with_one_key_in_a_statement_one_is_in_flight() {
    let fixture = Fixture::new().await;
    let creation = |key: &str| {
        let store = fixture.store.clone();
        let once = Once {
            key: IdempotencyKey::new(key).unwrap(),
            fingerprint: [7; 32],
            fingerprint_version: 1,
        };
        async move { store.create_once(new_order(), MINUTE, &once).await.unwrap() }
    };
    let others = ["b", "a", "b", "c"].into_iter().map(creation).collect();
    let created = fixture.behind_a_lock(LOCK, creation("a"), others, "COMMIT").await;
    let states = created.iter().map(|created| match created {
        CreatedOnce::New(_) => "new",
        CreatedOnce::Replayed(_) => "replayed",
        CreatedOnce::InFlight => "in flight",
        CreatedOnce::OtherRequest => "other",
    });
    let expected = ["new", "new", "replayed", "in flight", "new"];
    assert_eq!(states.collect::<Vec<_>>(), expected);
    assert_eq!(fixture.count(STATEMENTS).await, 2);
}

#[tokio::test]
async fn one_order_is_found_by_all_who_may_see_it() {
    let fixture = Fixture::new().await;
    let (order, other) = (fixture.order().await, fixture.order().await);
    let find = |id: OrderId, customer: Option<&str>| {
        let store = fixture.store.clone();
        let customer = customer.map(|name| CustomerId::new(name).unwrap());
        async move {
            store
                .find(id, customer.as_ref())
                .await
                .unwrap()
                .map(|order| order.id)
        }
    };
    let others = vec![
        find(order.id, Some("ada")),
        find(order.id, Some("eve")),
        find(OrderId::generate(), None),
        find(other.id, None),
        find(order.id, None),
    ];
    let lock = "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE";
    let found = fixture
        .behind_a_lock(lock, find(order.id, None), others, "COMMIT")
        .await;
    let order = Some(order.id);
    assert_eq!(found, [order, order, None, None, Some(other.id), order]);
}

#[tokio::test]
async fn of_two_claims_of_one_order_in_a_statement_one_succeeds() {
    let fixture = Fixture::new().await;
    let (first, order, other) = (
        fixture.order().await,
        fixture.order().await,
        fixture.order().await,
    );
    let claim = |order: &Order| {
        let (store, job) = (fixture.store.clone(), order.next_job());
        async move {
            let claim = store
                .claim(&job, Claim::of(&job), "worker-1", &trace(2), MINUTE)
                .await;
            claim.unwrap().is_some()
        }
    };
    let others = vec![claim(&order), claim(&order), claim(&other), claim(&first)];
    let claimed = fixture.behind_a_lock(LOCK, claim(&first), others, "COMMIT").await;
    let [first, order, again, other, repeated] = claimed[..] else {
        panic!("{claimed:?}")
    };
    assert!(first && other && !repeated && order != again, "{claimed:?}");
}

/// Behind PgBouncer the planner may join the claims in another order than that in which they were made.
#[tokio::test]
async fn a_job_that_is_delivered_twice_is_claimed_once_under_every_plan() {
    let fixture = Fixture::new().await;
    let config = StoreConfig {
        acquire_timeout: MINUTE / 2,
        ..StoreConfig::new(unprepared(&fixture), "store-test")
    };
    let store = Store::new(config).unwrap();
    let mut orders = Vec::new();
    for _ in 0..20 {
        orders.push(fixture.order().await);
    }
    let claim = |order: &Order| {
        let (store, job) = (store.clone(), order.next_job());
        async move {
            let (claim, trace) = (Claim::of(&job), trace(2));
            let claimed = store.claim(&job, claim, "worker-1", &trace, MINUTE).await;
            claimed.unwrap().is_some()
        }
    };
    let (first, others) = orders.split_first().unwrap();
    let twice = others.iter().chain(others).map(claim).collect();
    let claimed = fixture.behind_a_lock(LOCK, claim(first), twice, "COMMIT").await;
    assert_eq!(claimed.iter().filter(|claimed| **claimed).count(), orders.len());
}

/// The URL of the fixture's database, as if PgBouncer were in front of it: without start-up options.
fn unprepared(fixture: &Fixture) -> String {
    format!("{}?pgbouncer=true", fixture.database.url())
}

/// Otherwise each call would leave a connection behind while PostgreSQL hangs.
#[tokio::test]
async fn a_statement_without_a_response_in_time_is_cancelled() {
    let fixture = Fixture::new().await;
    let config = StoreConfig {
        statement_timeout: Duration::from_millis(100),
        ..StoreConfig::new(unprepared(&fixture), "store-test")
    };
    let store = Store::new(config).unwrap();
    fixture
        .sql
        .batch_execute(&format!("BEGIN; {LOCK}"))
        .await
        .unwrap();
    let error = creation(&store, new_order()).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert_eq!(fixture.count(WAITING).await, 0);
    fixture.sql.batch_execute("COMMIT").await.unwrap();
    assert_eq!(fixture.count("SELECT count(*) FROM orders").await, 0);
}

/// The job of an earlier attempt may be delivered again, beside the job of the next one.
#[tokio::test]
async fn of_two_jobs_of_one_order_in_a_statement_the_next_attempt_is_claimed() {
    let fixture = Fixture::new().await;
    let (first, order) = (fixture.order().await, fixture.order().await);
    let earlier = order.next_job();
    fixture.claim(&order).await;
    let released = fixture
        .store
        .release(claim_of(order.id, attempt(1)))
        .await
        .unwrap()
        .unwrap();
    let claim = |job: ProcessOrder| {
        let store = fixture.store.clone();
        async move {
            let context = trace(2);
            let claim = store.claim(&job, Claim::of(&job), "worker-1", &context, MINUTE);
            claim.await.unwrap().map(|order| order.attempt)
        }
    };
    let others = vec![claim(earlier.clone()), claim(released.next_job()), claim(earlier)];
    let claimed = fixture
        .behind_a_lock(LOCK, claim(first.next_job()), others, "COMMIT")
        .await;
    assert_eq!(claimed, [Some(attempt(1)), None, Some(attempt(2)), None]);
}

/// A statement leaves out the rows that others have locked, and waits for each of them alone.
#[tokio::test]
async fn a_locked_order_holds_up_no_other() {
    let fixture = Fixture::new().await;
    let (locked, free) = (fixture.order().await, fixture.order().await);
    let lock = format!("BEGIN; SELECT FROM orders WHERE id = '{}' FOR UPDATE", locked.id);
    fixture.sql.batch_execute(&lock).await.unwrap();
    let waiting = tokio::spawn({
        let (store, job) = (fixture.store.clone(), locked.next_job());
        async move {
            store
                .claim(&job, claim_by(&job), "worker-1", &trace(2), MINUTE)
                .await
        }
    });
    one_waits(&fixture).await;
    let claimed = fixture.claim(&free).await;
    let completed = fixture
        .store
        .complete(claim_of(free.id, claimed.attempt), None)
        .await;
    assert!(completed.unwrap().is_some());
    fixture.sql.batch_execute("COMMIT").await.unwrap();
    assert!(waiting.await.unwrap().unwrap().is_some());
}

/// Of five records that share a statement, one is invalid: its order has no payment.
#[tokio::test]
async fn an_invalid_payment_id_fails_alone() {
    let fixture = Fixture::new().await;
    let mut orders = Vec::new();
    for n in 0..6 {
        let order = if n == 3 {
            fixture.order().await
        } else {
            fixture.paid_order().await
        };
        orders.push(fixture.claim(&order).await);
    }
    let mut records = orders.iter().map(|order| record_intent(&fixture.store, order.id));
    let first = records.next().unwrap();
    let recorded = fixture
        .behind_a_lock(LOCK, first, records.collect(), "COMMIT")
        .await;
    for (n, recorded) in recorded.iter().enumerate() {
        match recorded {
            Ok(recorded) => assert!(*recorded, "{n}"),
            Err(error) => assert!(n == 3 && matches!(error, StoreError::Query(_)), "{n}: {error:?}"),
        }
    }
    assert_eq!(fixture.count(RECORDED).await, 5);
}

/// Each caller gets an error, and none of the payments may be confirmed. The next call records it.
#[tokio::test]
async fn no_payment_id_of_a_statement_that_breaks_counts_as_recorded() {
    let fixture = Fixture::new().await;
    let mut orders = Vec::new();
    for _ in 0..4 {
        let order = fixture.paid_order().await;
        orders.push(fixture.claim(&order).await.id);
    }
    // Prepares the statement, which takes and releases the lock that it needs later.
    record_intent(&fixture.store, orders[0]).await.unwrap();
    let mut calls = orders.iter().map(|id| record_intent(&fixture.store, *id));
    let first = calls.next().unwrap();
    assert!(fixture.break_statement(first, calls.collect()).await);
    assert_eq!(fixture.count(RECORDED).await, 1);
    for id in orders {
        assert!(record_intent(&fixture.store, id).await.unwrap());
    }
    assert_eq!(fixture.count(RECORDED).await, 4);
}

const RECORDED: &str = "SELECT count(*) FROM orders WHERE payment_id = 'pi_' || id";

fn record_intent(store: &Store, id: OrderId) -> impl Future<Output = Result<bool, StoreError>> + use<> {
    let store = store.clone();
    async move {
        store
            .record_intent(claim_of(id, attempt(1)), &format!("pi_{id}"))
            .await
    }
}

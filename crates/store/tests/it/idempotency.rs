//! One idempotency key, one order, under concurrency and failures.

use std::time::Duration;

use domain::{CustomerId, Order, OrderId};
use throughline_store::{CreatedOnce, IdempotencyKey, Once, StoreError};

use crate::setup::{Fixture, MINUTE, claim_of, customer, draft, free, trace, without_token};

fn once(key: &str) -> Once {
    Once {
        key: IdempotencyKey::new(key).unwrap(),
        fingerprint: [7; 32],
        fingerprint_version: 1,
    }
}

async fn create(fixture: &Fixture, customer: &CustomerId, once: &Once) -> Result<CreatedOnce, StoreError> {
    let order = Order::new(OrderId::generate(), customer.clone(), free(), trace(1));
    fixture.store.create_once(order, MINUTE, once).await
}

fn order() -> Order {
    Order::new(OrderId::generate(), customer(), free(), trace(1))
}

fn new(created: CreatedOnce) -> Order {
    match created {
        CreatedOnce::New(order) => *order,
        other => panic!("{other:?}"),
    }
}

async fn count(fixture: &Fixture, table: &str) -> i64 {
    let count = format!("SELECT count(*) FROM {table}");
    fixture.sql.query_one(&count, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn a_key_replays_the_first_response_after_any_transition() {
    let fixture = Fixture::new().await;
    let new_order = draft(
        r#"{"items":[{"product_name":"Größe","quantity":3,"unit_price":"1.234"}],"currency":"BHD","payment_method":"paypal","payment_token":"pm_1"}"#,
    );
    let create = async || {
        let order = Order::new(OrderId::generate(), customer(), new_order.clone(), trace(1));
        let created = fixture.store.create_once(order, MINUTE, &once("k")).await;
        created.unwrap()
    };
    let first = new(create().await);
    let read = fixture.find(first.id).await;
    assert_eq!(format!("{read:?}"), format!("{:?}", without_token(first.clone())));
    let due = fixture.due_in(first.id).await.unwrap();
    assert!((1.0..=60.0).contains(&due), "{due}");

    let claimed = fixture.claim(&first).await;
    fixture
        .store
        .complete(claim_of(first.id, claimed.attempt), Some("pi_1"))
        .await
        .unwrap();
    let CreatedOnce::Replayed(again) = create().await else {
        panic!("not replayed");
    };
    // The token, which a completed order has no more, is in no response.
    let payment_token = None;
    let first = Order {
        payment_token,
        ..first
    };
    assert_eq!(format!("{again:?}"), format!("{first:?}"));
    assert_eq!(count(&fixture, "orders").await, 1);
}

#[tokio::test]
async fn keys_are_unique_within_a_customer() {
    let fixture = Fixture::new().await;
    let other = CustomerId::new("grace k").unwrap();
    let one = new(create(&fixture, &customer(), &once("k")).await.unwrap());
    let two = new(create(&fixture, &other, &once("k")).await.unwrap());
    assert_ne!(one.id, two.id);
}

#[tokio::test]
async fn another_request_with_the_same_key_is_recognized() {
    let fixture = Fixture::new().await;
    new(create(&fixture, &customer(), &once("k")).await.unwrap());
    let other = Once {
        fingerprint: [8; 32],
        ..once("k")
    };
    let created = create(&fixture, &customer(), &other).await.unwrap();
    assert!(matches!(created, CreatedOnce::OtherRequest), "{created:?}");
}

#[tokio::test]
async fn of_fifty_concurrent_requests_one_creates_the_order() {
    let fixture = Fixture::new().await;
    let calls = (0..50).map(|_| {
        let store = fixture.store.clone();
        tokio::spawn(async move { store.create_once(order(), MINUTE, &once("k")).await })
    });
    let calls: Vec<_> = calls.collect();
    let mut created = 0;
    for call in calls {
        match call.await.unwrap().unwrap() {
            CreatedOnce::New(_) => created += 1,
            CreatedOnce::Replayed(_) | CreatedOnce::InFlight => {}
            CreatedOnce::OtherRequest => panic!("it was the same request"),
        }
    }
    assert_eq!(created, 1);
    assert_eq!(count(&fixture, "orders").await, 1);
}

#[tokio::test]
async fn a_request_in_flight_is_reported_and_not_waited_for() {
    let mut fixture = Fixture::new().await;
    let store = fixture.store.clone();
    let transaction = fixture.sql.transaction().await.unwrap();
    // An uncommitted row with this key: the first request waits for it.
    let row = "INSERT INTO idempotency_keys (order_id, customer, key, fingerprint) \
               VALUES (gen_random_uuid(), 'ada', 'k', sha256(''))";
    transaction.batch_execute(row).await.unwrap();
    // With lanes of its own, as in another process.
    let first = tokio::spawn({
        let store = store.on_this_thread();
        async move { store.create_once(order(), MINUTE, &once("k")).await }
    });
    let second = testkit::eventually(
        "the second request to return",
        Duration::from_secs(20),
        async || {
            let held = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND \
                    database = (SELECT oid FROM pg_database WHERE datname = current_database())";
            let held: i64 = transaction.query_one(held, &[]).await.unwrap().get(0);
            if held == 0 {
                return None;
            }
            Some(store.create_once(order(), MINUTE, &once("k")).await)
        },
    )
    .await;
    assert!(matches!(second, Ok(CreatedOnce::InFlight)), "{second:?}");
    transaction.rollback().await.unwrap();
    new(first.await.unwrap().unwrap());
}

#[tokio::test]
async fn a_failure_leaves_neither_a_key_nor_an_order() {
    let fixture = Fixture::new().await;
    fixture
        .sql
        .batch_execute("ALTER TABLE orders ADD CONSTRAINT full_up CHECK (amount < 0) NOT VALID")
        .await
        .unwrap();
    let error = create(&fixture, &customer(), &once("k")).await.unwrap_err();
    assert!(matches!(error, StoreError::Query(_)), "{error:?}");
    assert_eq!(count(&fixture, "idempotency_keys").await, 0);

    fixture
        .sql
        .batch_execute("ALTER TABLE orders DROP CONSTRAINT full_up")
        .await
        .unwrap();
    new(create(&fixture, &customer(), &once("k")).await.unwrap());
}

#[tokio::test]
async fn a_key_expires_after_a_day() {
    let fixture = Fixture::new().await;
    let age = async |hours: u32| {
        let age = format!("UPDATE idempotency_keys SET created_at = now() - interval '{hours} h'");
        fixture.sql.batch_execute(&age).await.unwrap();
    };
    let first = new(create(&fixture, &customer(), &once("k")).await.unwrap());
    age(23).await;
    assert_eq!(fixture.store.delete_expired_keys(10).await.unwrap(), 0);
    let again = create(&fixture, &customer(), &once("k")).await.unwrap();
    assert!(matches!(again, CreatedOnce::Replayed(_)), "{again:?}");

    // Used again after its TTL and before the clean-up.
    age(25).await;
    let second = new(create(&fixture, &customer(), &once("k")).await.unwrap());
    assert_ne!(first.id, second.id);
    for key in ["a", "b", "c"] {
        new(create(&fixture, &customer(), &once(key)).await.unwrap());
    }
    age(25).await;
    assert_eq!(fixture.store.delete_expired_keys(3).await.unwrap(), 3);
    assert_eq!(fixture.store.delete_expired_keys(3).await.unwrap(), 1);
    assert_eq!(count(&fixture, "idempotency_keys").await, 0);
    assert_eq!(count(&fixture, "orders").await, 5);
}

/// The fingerprints of two versions are not comparable.
#[tokio::test]
async fn a_fingerprint_of_another_version_cannot_be_verified() {
    let fixture = Fixture::new().await;
    new(create(&fixture, &customer(), &once("k")).await.unwrap());
    let next = Once {
        fingerprint_version: 2,
        ..once("k")
    };
    let error = create(&fixture, &customer(), &next).await.unwrap_err();
    assert!(matches!(error, StoreError::Corrupt(_)), "{error:?}");

    let expire = "UPDATE idempotency_keys SET created_at = created_at - interval '25 h'";
    fixture.sql.execute(expire, &[]).await.unwrap();
    new(create(&fixture, &customer(), &next).await.unwrap());
    let replayed = create(&fixture, &customer(), &next).await.unwrap();
    assert!(matches!(replayed, CreatedOnce::Replayed(_)), "{replayed:?}");
}

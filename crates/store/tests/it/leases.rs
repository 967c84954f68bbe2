//! One process at a time holds a lease.

use std::time::Duration;

use uuid::Uuid;

use crate::setup::{Fixture, MINUTE};

#[tokio::test]
async fn a_lease_has_one_holder_until_it_ends_or_is_given_up() {
    let fixture = Fixture::new().await;
    let (a, b) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let hold = async |holder| fixture.store.hold_lease("work", holder, MINUTE).await.unwrap();
    assert!(hold(a).await);
    assert!(!hold(b).await, "another process holds it");
    assert!(hold(a).await, "renewed");

    let end = "UPDATE leases SET ends_at = now() - interval '1 ms'";
    fixture.sql.execute(end, &[]).await.unwrap();
    assert!(hold(b).await, "its holder did not renew it");
    assert!(!hold(a).await);

    fixture.store.end_lease("work", a).await.unwrap();
    assert!(!hold(a).await, "only the holder ends it");
    fixture.store.end_lease("work", b).await.unwrap();
    assert!(hold(a).await);
}

#[tokio::test]
async fn of_many_processes_one_gets_the_lease() {
    let fixture = Fixture::new().await;
    for _ in 0..5 {
        let processes = (0..8).map(|n| {
            let store = fixture.store.clone();
            tokio::spawn(async move {
                store
                    .hold_lease("work", Uuid::from_u128(n), MINUTE)
                    .await
                    .unwrap()
            })
        });
        let mut holders = 0;
        for process in processes.collect::<Vec<_>>() {
            holders += u32::from(process.await.unwrap());
        }
        assert_eq!(holders, 1);
        fixture.sql.execute("DELETE FROM leases", &[]).await.unwrap();
    }
}

/// A waiting process must not write: a thousand of them would each make a dead row a second.
#[tokio::test]
async fn a_process_that_waits_for_a_lease_writes_nothing() {
    let fixture = Fixture::new().await;
    let hold = async |holder| {
        fixture
            .store
            .hold_lease("work", Uuid::from_u128(holder), MINUTE)
            .await
    };
    assert!(hold(1).await.unwrap());
    let row = "SELECT xmin::text || ' ' || xmax::text FROM leases";
    let version = async || -> String { fixture.sql.query_one(row, &[]).await.unwrap().get(0) };
    let before = version().await;
    assert!(!hold(2).await.unwrap());
    assert_eq!(version().await, before);
    assert!(
        !fixture
            .store
            .hold_lease("work", Uuid::nil(), Duration::ZERO)
            .await
            .unwrap()
    );
}

//! Old final orders are deleted in batches, and nothing else is.

use domain::{Order, OrderId, OrderStatus};
use throughline_store::{IdempotencyKey, Once, Prune};

use crate::settlement::unsettled;
use crate::setup::{Fixture, MINUTE, customer, free, trace};

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

async fn left(fixture: &Fixture) -> Vec<String> {
    let rows = fixture
        .sql
        .query("SELECT id::text FROM orders ORDER BY id", &[])
        .await;
    rows.unwrap().iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn only_old_final_settled_orders_are_pruned_in_batches() {
    let fixture = Fixture::new().await;
    let mut kept = unsettled(&fixture, &[OrderStatus::Failed]).await;
    let mut old = Vec::new();
    for status in [
        OrderStatus::Completed,
        OrderStatus::Failed,
        OrderStatus::Cancelled,
        OrderStatus::Completed,
    ] {
        let id = fixture.order().await.id;
        fixture.put_into(id, status).await;
        old.push(id);
    }
    for status in [OrderStatus::Pending, OrderStatus::Processing] {
        let id = fixture.order().await.id;
        fixture.put_into(id, status).await;
        kept.push(id);
    }
    let once = |key: &str| Once {
        key: IdempotencyKey::new(key).unwrap(),
        fingerprint: [7; 32],
        fingerprint_version: 1,
    };
    for key in ["old", "new"] {
        let order = Order::new(OrderId::generate(), customer(), free(), trace(1));
        let id = order.id;
        fixture
            .store
            .create_once(order, MINUTE, &once(key))
            .await
            .unwrap();
        fixture.put_into(id, OrderStatus::Completed).await;
        if key == "old" {
            old.push(id);
        } else {
            kept.push(id);
        }
    }
    // It would refuse every update of the unsettled order.
    let drop = "ALTER TABLE orders DROP CONSTRAINT orders_final_is_settled";
    fixture.sql.batch_execute(drop).await.unwrap();
    let age = "created_at = created_at - interval '100 d', completed_at = completed_at - interval '100 d'";
    for id in old.iter().chain(&kept[..1]) {
        fixture.update(*id, age).await;
    }
    let age_key = "UPDATE idempotency_keys SET created_at = created_at - interval '100 d' WHERE key = 'old'";
    fixture.sql.batch_execute(age_key).await.unwrap();
    // A transaction is changing one of them: it stays until the next pass.
    let other = fixture.database.connect().await.unwrap();
    let lock = format!("BEGIN; SELECT FROM orders WHERE id = '{}' FOR UPDATE", old[0]);
    other.batch_execute(&lock).await.unwrap();

    let mut counting = Prune::older_than(DAY * 90);
    assert_eq!(fixture.store.count_prunable(&mut counting, 3).await.unwrap(), 3);
    assert_eq!(fixture.store.count_prunable(&mut counting, 3).await.unwrap(), 2);
    let mut pass = Prune::older_than(DAY * 90);
    assert_eq!(fixture.store.prune(&mut pass, 3).await.unwrap(), 3);
    assert_eq!(left(&fixture).await.len(), kept.len() + 2);
    assert_eq!(fixture.store.prune(&mut pass, 3).await.unwrap(), 1);
    other.batch_execute("ROLLBACK").await.unwrap();
    assert_eq!(fixture.store.prune(&mut pass, 3).await.unwrap(), 0, "passed");
    let mut next = Prune::older_than(DAY * 90);
    assert_eq!(fixture.store.prune(&mut next, 3).await.unwrap(), 1);
    let mut kept: Vec<String> = kept.iter().map(OrderId::to_string).collect();
    kept.sort();
    assert_eq!(left(&fixture).await, kept);
    let keys = fixture
        .sql
        .query_one("SELECT min(key), count(*) FROM idempotency_keys", &[])
        .await;
    let keys = keys.unwrap();
    assert_eq!((keys.get(0), keys.get(1)), ("new", 1_i64));
}

//! The pools' sizes bound PostgreSQL's backends, and slow reads leave the connections that orders need.

use std::time::Duration;

use domain::{CustomerId, Order, OrderId};
use futures_util::future::join_all;
use testkit::eventually;
use throughline_store::{OrderFilter, Sort, Store, StoreConfig, StoreError};
use tokio::time::timeout;

use crate::setup::{Fixture, MINUTE, customer, free, trace};

fn config(fixture: &Fixture, application_name: &str) -> StoreConfig {
    StoreConfig {
        acquire_timeout: Duration::from_secs(5),
        ..StoreConfig::new(fixture.database.url(), application_name)
    }
}

async fn backends(fixture: &Fixture, application_name: &str) -> i64 {
    let count =
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database()";
    let row = fixture.sql.query_one(count, &[&application_name]).await.unwrap();
    row.get(0)
}

#[tokio::test]
async fn callers_that_give_up_leave_no_more_backends_than_the_pool_has_connections() {
    let fixture = Fixture::new().await;
    let locker = fixture.database.connect().await.unwrap();
    locker.batch_execute("BEGIN; LOCK TABLE orders").await.unwrap();
    let store = Store::new(StoreConfig {
        pool_size: 4,
        statement_timeout: MINUTE,
        ..config(&fixture, "impatient")
    })
    .unwrap();

    let clients = (0..50).map(|_| async {
        for _ in 0..5 {
            let call = store.find(OrderId::generate(), None);
            let result = timeout(Duration::from_millis(200), call).await;
            assert!(matches!(result, Err(_) | Ok(Err(StoreError::Busy))), "{result:?}");
        }
    });
    let mut most = 0;
    let watch = async {
        loop {
            most = most.max(backends(&fixture, "impatient").await);
        }
    };
    tokio::select! {
        _ = join_all(clients) => {}
        () = watch => {}
    }
    assert!((1..=4).contains(&most), "{most} backends");

    locker.batch_execute("COMMIT").await.unwrap();
    eventually("a free connection", MINUTE, async || {
        store.find(OrderId::generate(), None).await.ok()
    })
    .await;
    assert!(backends(&fixture, "impatient").await <= 4);
}

#[tokio::test]
async fn slow_reads_leave_the_connections_that_orders_are_taken_with() {
    let fixture = Fixture::new().await;
    fixture.create(&customer(), &free()).await;
    // Reads of this customer's orders take a minute each; nothing else does.
    let slow = format!(
        "ALTER TABLE orders RENAME TO all_orders; CREATE VIEW orders AS SELECT * FROM all_orders \
         WHERE customer <> '{}' OR pg_sleep(60) IS NULL",
        customer().as_str()
    );
    fixture.sql.batch_execute(&slow).await.unwrap();
    let store = Store::new(StoreConfig {
        pool_size: 1,
        reporting_pool_size: 2,
        ..config(&fixture, "slow")
    })
    .unwrap();
    let own = OrderFilter {
        customer: Some(customer()),
        ..OrderFilter::default()
    };
    let pages = join_all((0..32).map(|_| store.list(&own, Sort::NewestFirst, None, 20)));
    let orders = async {
        eventually("the slow reads to run", MINUTE, async || {
            (backends(&fixture, "slow").await == 2).then_some(())
        })
        .await;
        for name in ["bob", "eve"] {
            let customer = CustomerId::new(name).unwrap();
            let order = Order::new(OrderId::generate(), customer, free(), trace(1));
            store.create(order, MINUTE).await.unwrap();
        }
        assert_eq!(backends(&fixture, "slow").await, 3);
    };
    tokio::select! {
        pages = pages => panic!("{pages:?}"),
        () = orders => {}
    }
}

#[tokio::test]
async fn slow_reads_have_a_timeout_of_their_own() {
    let fixture = Fixture::new().await;
    fixture
        .sql
        .batch_execute("BEGIN; LOCK TABLE orders")
        .await
        .unwrap();
    let store = Store::new(StoreConfig {
        statement_timeout: MINUTE * 10,
        reporting_timeout: Duration::from_millis(100),
        ..config(&fixture, "reporting")
    })
    .unwrap();
    let error = store
        .list(&OrderFilter::default(), Sort::NewestFirst, None, 20)
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Aborted(_)), "{error:?}");
}

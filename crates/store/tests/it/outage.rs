//! PostgreSQL away, back, or too busy: callers are told, and the pool recovers by itself.

use std::time::Duration;

use testkit::{Postgres, eventually, free_port};
use throughline_store::{Store, StoreConfig, StoreError};

use crate::setup::{Fixture, customer};

const LONG: Duration = Duration::from_secs(60);

fn store(url: &str) -> Store {
    Store::new(StoreConfig {
        pool_size: 4,
        ..StoreConfig::new(url, "store-test")
    })
    .unwrap()
}

#[tokio::test]
async fn a_store_starts_before_its_server() {
    let url = format!("postgres://127.0.0.1:{}/orders", free_port().unwrap());
    let store = store(&url);
    let error = store.ping().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(error.is_transient());
    let error = store.totals(None).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn the_pool_recovers_when_the_server_was_restarted() {
    let mut postgres = Postgres::start().await.unwrap();
    let url = postgres.url();
    throughline_store::migrate(&url).await.unwrap();
    let store = store(&url);
    // More than one connection, so that more than one has to be replaced.
    let (first, second) = tokio::join!(store.totals(None), store.totals(None));
    first.unwrap();
    second.unwrap();

    for killed in [false, true] {
        if killed {
            postgres.kill().await.unwrap();
        } else {
            postgres.stop().await.unwrap();
        }
        // The processes of a killed server's connections live on for a moment.
        let error = eventually("the store to be away", LONG, async || {
            store.totals(None).await.err()
        })
        .await;
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        postgres.restart().await.unwrap();
        eventually("the store to answer", LONG, async || {
            store.totals(None).await.ok()
        })
        .await;
        for _ in 0..8 {
            store.totals(None).await.unwrap();
        }
    }
}

#[tokio::test]
async fn a_connection_that_the_server_ended_is_replaced() {
    let fixture = Fixture::new().await;
    fixture.order().await;
    let ended = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'store-test' AND datname = current_database()";
    assert_eq!(fixture.sql.query(ended, &[]).await.unwrap().len(), 1);
    eventually("the store to answer", LONG, async || {
        fixture.store.totals(None).await.ok()
    })
    .await;
    assert_eq!(fixture.store.pool_status().size, 1);
}

#[tokio::test]
async fn a_caller_waits_for_a_connection_only_so_long() {
    let fixture = Fixture::new().await;
    let config = StoreConfig {
        pool_size: 1,
        acquire_timeout: Duration::from_millis(200),
        ..StoreConfig::new(fixture.database.url(), "store-test")
    };
    let store = Store::new(config).unwrap();
    fixture
        .sql
        .batch_execute("BEGIN; LOCK TABLE orders")
        .await
        .unwrap();
    let blocked = tokio::spawn({
        let store = store.clone();
        async move { store.totals(None).await }
    });
    eventually("the only connection to be in use", LONG, async || {
        let status = store.pool_status();
        (status.size == 1 && status.available == 0).then_some(())
    })
    .await;
    let error = store.totals(Some(&customer())).await.unwrap_err();
    assert!(matches!(error, StoreError::Busy(_)), "{error:?}");
    fixture.sql.batch_execute("COMMIT").await.unwrap();
    blocked.await.unwrap().unwrap();
    assert_eq!(store.pool_status().available, 1);
    store.ping().await.unwrap();
}

//! PostgreSQL unavailable, back, or overloaded: callers get an error, and the pool recovers by itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use domain::OrderId;
use testkit::{Postgres, eventually, free_port};
use throughline_store::{Store, StoreConfig, StoreError};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::timeout;

use crate::setup::Fixture;

const LONG: Duration = Duration::from_secs(60);

fn store(url: &str) -> Store {
    Store::new(StoreConfig {
        pool_size: 4,
        ..StoreConfig::new(url, "store-test")
    })
    .unwrap()
}

/// A statement on the pool that orders are taken with.
async fn read(store: &Store) -> Result<(), StoreError> {
    store.find_many(&[OrderId::generate()]).await.map(drop)
}

#[tokio::test]
async fn a_store_starts_before_its_server() {
    let url = format!("postgres://127.0.0.1:{}/orders", free_port().unwrap());
    let store = store(&url);
    let error = store.ping().await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    assert!(error.is_transient());
    let error = read(&store).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn the_pool_recovers_when_the_server_was_restarted() {
    let mut postgres = Postgres::start().await.unwrap();
    let url = postgres.url();
    throughline_store::migrate(&url).await.unwrap();
    let store = store(&url);
    // More than one connection, so that more than one has to be replaced.
    let (first, second) = tokio::join!(read(&store), read(&store));
    first.unwrap();
    second.unwrap();

    for killed in [false, true] {
        if killed {
            postgres.kill().await.unwrap();
        } else {
            postgres.stop().await.unwrap();
        }
        // The backends of a killed server live on for a moment.
        let error = eventually("the store to be unavailable", LONG, async || {
            read(&store).await.err()
        })
        .await;
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        postgres.restart().await.unwrap();
        eventually("the store to respond", LONG, async || read(&store).await.ok()).await;
        for _ in 0..8 {
            read(&store).await.unwrap();
        }
        eventually("its lane to respond", LONG, async || {
            store.find(OrderId::generate(), None).await.ok()
        })
        .await;
    }
}

#[tokio::test]
async fn a_connection_that_the_server_ended_is_replaced() {
    let fixture = Fixture::new().await;
    read(&fixture.store).await.unwrap();
    let ended = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'store-test' AND datname = current_database()";
    assert_eq!(fixture.sql.query(ended, &[]).await.unwrap().len(), 1);
    eventually("the store to respond", LONG, async || {
        read(&fixture.store).await.ok()
    })
    .await;
    assert_eq!(fixture.store.pool_state().idle, 1);
}

#[tokio::test]
async fn waiting_for_a_connection_has_a_timeout() {
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
        async move { read(&store).await }
    });
    eventually("the only connection to be in use", LONG, async || {
        let pool = store.pool_state();
        (pool.used == 1 && pool.idle == 0).then_some(())
    })
    .await;
    let error = read(&store).await.unwrap_err();
    assert!(matches!(error, StoreError::Busy), "{error:?}");
    fixture.sql.batch_execute("COMMIT").await.unwrap();
    blocked.await.unwrap().unwrap();
    assert_eq!(store.pool_state().idle, 1);
    store.ping().await.unwrap();
}

#[tokio::test]
async fn a_server_that_accepts_and_never_responds_keeps_no_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("postgres://shop@{}/orders", listener.local_addr().unwrap());
    let (open, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let server = tokio::spawn({
        let (open, taken) = (Arc::clone(&open), Arc::clone(&taken));
        async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let open = Arc::clone(&open);
                open.fetch_add(1, Ordering::SeqCst);
                taken.fetch_add(1, Ordering::SeqCst);
                tokio::spawn(async move {
                    // Until the client closes it.
                    while client.read(&mut [0; 1024]).await.is_ok_and(|read| read > 0) {}
                    open.fetch_sub(1, Ordering::SeqCst);
                });
            }
        }
    });
    let store = Store::new(StoreConfig {
        acquire_timeout: Duration::from_millis(100),
        ..StoreConfig::new(url, "store-test")
    })
    .unwrap();
    for _ in 0..3 {
        let error = read(&store).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    }
    // A caller that is dropped before the connect timeout.
    let early = timeout(Duration::from_millis(20), read(&store)).await;
    assert!(early.is_err());
    eventually("all connections to be closed", LONG, async || {
        (taken.load(Ordering::SeqCst) >= 3 && open.load(Ordering::SeqCst) == 0).then_some(())
    })
    .await;
    server.abort();
}

#[tokio::test]
async fn with_too_many_waiting_callers_further_ones_fail_at_once_and_ping_succeeds() {
    let fixture = Fixture::new().await;
    let store = Store::new(StoreConfig {
        pool_size: 1,
        max_waiting: 2,
        acquire_timeout: LONG,
        ..StoreConfig::new(fixture.database.url(), "store-test")
    })
    .unwrap();
    fixture
        .sql
        .batch_execute("BEGIN; LOCK TABLE orders")
        .await
        .unwrap();
    let call = |_| {
        let store = store.clone();
        tokio::spawn(async move { read(&store).await })
    };
    let mut blocked = vec![call(0)];
    let until = async |size, waiting| {
        eventually("the callers to wait", LONG, async || {
            let pool = store.pool_state();
            (pool.used + pool.idle == size && pool.pending == waiting).then_some(())
        })
        .await;
    };
    until(1, 0).await;
    blocked.extend((1..3).map(call));
    until(1, 2).await;

    let rejected = timeout(LONG / 2, read(&store)).await;
    let error = rejected.expect("an immediate error").unwrap_err();
    assert!(matches!(error, StoreError::Busy), "{error:?}");
    store
        .ping()
        .await
        .expect("a busy pool does not mean that PostgreSQL is unavailable");
    assert_eq!(store.pool_state().pending, 2);

    fixture.sql.batch_execute("COMMIT").await.unwrap();
    for blocked in blocked {
        blocked.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_database_without_the_schema_and_a_standby_are_not_ready() {
    let primary = Postgres::start().await.unwrap();
    let store = store(&primary.url());
    let error = store.ping().await.unwrap_err();
    assert!(error.to_string().contains("not migrated"), "{error}");
    throughline_store::migrate(&primary.url()).await.unwrap();
    store.ping().await.unwrap();

    let replica = primary.start_replica().await.unwrap();
    let second = self::store(&replica.url());
    let error = second.ping().await.unwrap_err();
    assert!(error.to_string().contains("standby"), "{error}");
    replica.promote().await.unwrap();
    second.ping().await.unwrap();
}

/// A caller that waits for PostgreSQL to start must not wait for this.
#[tokio::test]
async fn an_unknown_database_is_a_settings_error() {
    let postgres = testkit::database().await.unwrap();
    let url = format!("{}_not", postgres.url());
    let error = throughline_store::migrate(&url).await.unwrap_err();
    assert!(matches!(error, StoreError::Config(_)), "{error:?}");
}

/// For example, a primary that hangs after its replica was promoted.
#[tokio::test]
async fn a_server_that_never_responds_does_not_block_the_next_one() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let fixture = Fixture::new().await;
    let first = format!("@{},", silent.local_addr().unwrap());
    let url = fixture.database.url().replacen('@', &first, 1);
    let store = Store::new(StoreConfig {
        acquire_timeout: Duration::from_secs(1),
        ..StoreConfig::new(url, "store-test")
    })
    .unwrap();
    eventually("a response of the second server", LONG, async || {
        read(&store).await.ok()
    })
    .await;
    eventually("readiness", LONG, async || store.ping().await.ok()).await;
}

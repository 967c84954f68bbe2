//! PgBouncer in transaction mode, which has no sessions: no start-up options, and no prepared statements
//! before its version 1.21. The URL says `pgbouncer=true`.

use std::time::Duration;

use domain::{Order, OrderId};
use futures_util::future::try_join_all;
use testkit::{PgBouncer, Postgres, eventually};
use throughline_store::{OrderFilter, Sort, Store, StoreConfig, StoreError};

use crate::setup::{MINUTE, claim_by, claim_of, customer, free, trace};

async fn server() -> (Postgres, PgBouncer) {
    let postgres = Postgres::start().await.unwrap();
    throughline_store::migrate(&postgres.url()).await.unwrap();
    let pgbouncer = PgBouncer::start(&postgres).await.unwrap();
    (postgres, pgbouncer)
}

fn store(pgbouncer: &PgBouncer) -> Store {
    let url = format!("{}?pgbouncer=true", pgbouncer.url());
    Store::new(StoreConfig {
        acquire_timeout: MINUTE / 2,
        ..StoreConfig::new(url, "store-test")
    })
    .unwrap()
}

async fn sql(postgres: &Postgres) -> tokio_postgres::Client {
    let (sql, connection) = tokio_postgres::connect(&postgres.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    sql
}

#[tokio::test]
async fn many_connections_share_two_of_the_server() {
    let (_postgres, pgbouncer) = server().await;
    let store = store(&pgbouncer);
    store.ping().await.unwrap();
    let orders = (0..64).map(|_| async {
        let order = Order::new(OrderId::generate(), customer(), free(), trace(1));
        let order = store.create(order, MINUTE).await?;
        let (job, trace) = (order.next_job(), trace(2));
        let claim = store
            .claim(&job, claim_by(&job), "worker-1", &trace, MINUTE)
            .await?;
        assert!(claim.is_some());
        store.find_many(&[order.id]).await?;
        store.complete(claim_of(order.id, job.attempt), None).await
    });
    try_join_all(orders).await.unwrap();
    assert!(store.pool_state().idle > 2);
    assert_eq!(
        store
            .list(&OrderFilter::default(), Sort::NewestFirst, None, 100)
            .await
            .unwrap()
            .len(),
        64
    );
}

#[tokio::test]
async fn the_statement_timeout_is_a_setting_of_the_role_and_a_dropped_call_is_cancelled() {
    let (postgres, pgbouncer) = server().await;
    let sql = sql(&postgres).await;
    let set_timeout = async |timeout: &str| {
        let set = format!("ALTER ROLE postgres SET statement_timeout = '{timeout}'");
        sql.batch_execute(&set).await.unwrap();
        // New connections have the new setting.
        let close = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
            WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
        sql.batch_execute(close).await.unwrap();
        sql.batch_execute("BEGIN; LOCK TABLE orders").await.unwrap();
    };
    set_timeout("1s").await;
    let short = store(&pgbouncer);
    // A call may meet a connection of PgBouncer that was closed just now.
    let error = eventually("the timeout", MINUTE, async || {
        let error = short.find_many(&[OrderId::generate()]).await.err()?;
        matches!(error, StoreError::Aborted(_)).then_some(error)
    })
    .await;
    assert!(error.is_transient());
    sql.batch_execute("COMMIT").await.unwrap();

    set_timeout("10min").await;
    let store = store(&pgbouncer);
    let call = tokio::spawn({
        let store = store.clone();
        async move { while store.find_many(&[OrderId::generate()]).await.is_err() {} }
    });
    let until_waiting = async |what: &str, expected: i64| {
        eventually(what, Duration::from_secs(30), async || {
            let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
            let row = sql.query_one(waiting, &[]).await.unwrap();
            (row.get::<_, i64>(0) == expected).then_some(())
        })
        .await;
    };
    until_waiting("the call to wait", 1).await;
    call.abort();
    until_waiting("the server to end it", 0).await;
    sql.batch_execute("COMMIT").await.unwrap();
    store.find(OrderId::generate(), None).await.unwrap();
}

#[tokio::test]
async fn without_the_parameter_pgbouncer_refuses_the_connection_and_with_it_migrations_do() {
    let (_postgres, pgbouncer) = server().await;
    let plain = Store::new(StoreConfig::new(pgbouncer.url(), "store-test")).unwrap();
    let error = plain.find(OrderId::generate(), None).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    let url = format!("{}?pgbouncer=true", pgbouncer.url());
    let error = throughline_store::migrate(&url).await.unwrap_err();
    assert!(error.to_string().contains("a session"), "{error}");
}

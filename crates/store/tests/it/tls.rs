//! Every `sslmode` against a server with TLS. Its certificate is for `localhost` only, signed by
//! `tls/ca.pem`; neither key is used for anything else.

use std::time::Duration;

use domain::OrderId;
use testkit::{Postgres, eventually};
use throughline_store::{Store, StoreConfig, StoreError};

const CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tls/ca.pem");
const OTHER_CA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/tls/other_ca.pem");

/// Connects a store to `host` with these parameters in its URL.
async fn connect(postgres: &Postgres, host: &str, parameters: &str) -> Result<(), StoreError> {
    let url = postgres.url().replace("127.0.0.1", host);
    let store = Store::new(StoreConfig::new(format!("{url}?{parameters}"), "tls-test"))?;
    store.ping().await
}

async fn server() -> (Postgres, tokio_postgres::Client) {
    let postgres = Postgres::start().await.unwrap();
    throughline_store::migrate(&postgres.url()).await.unwrap();
    let (sql, connection) = tokio_postgres::connect(&postgres.url(), tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    for (name, pem) in [
        ("server.crt", include_str!("tls/server.pem")),
        ("server.key", include_str!("tls/server.key")),
    ] {
        // COPY writes a line break as \n, which %b undoes.
        let write = format!(r#"umask 077; printf "%b" "$(cat)" > {name}"#);
        sql.batch_execute(&format!("COPY (SELECT '{pem}') TO PROGRAM '{write}'"))
            .await
            .unwrap();
    }
    sql.batch_execute("ALTER SYSTEM SET ssl = on").await.unwrap();
    sql.batch_execute("SELECT pg_reload_conf()").await.unwrap();
    eventually("the server to accept TLS", Duration::from_secs(30), async || {
        connect(&postgres, "127.0.0.1", "sslmode=require").await.ok()
    })
    .await;
    (postgres, sql)
}

#[tokio::test]
async fn each_mode_verifies_as_libpq_documents() {
    let (postgres, _sql) = server().await;
    let ca = format!("sslrootcert={CA}");
    let other = format!("sslrootcert={OTHER_CA}");
    for (host, parameters, accepted) in [
        ("127.0.0.1", "sslmode=disable".to_owned(), true),
        ("127.0.0.1", "sslmode=prefer".to_owned(), true),
        ("127.0.0.1", "sslmode=require".to_owned(), true),
        ("127.0.0.1", format!("sslmode=require&{ca}"), true),
        ("127.0.0.1", format!("sslmode=require&{other}"), false),
        ("127.0.0.1", format!("sslmode=verify-ca&{ca}"), true),
        ("127.0.0.1", format!("sslmode=verify-ca&{other}"), false),
        ("127.0.0.1", format!("sslmode=verify-full&{ca}"), false),
        ("localhost", format!("sslmode=verify-full&{ca}"), true),
        ("localhost", format!("sslmode=verify-full&{other}"), false),
        // The system does not know the server's authority.
        ("localhost", "sslrootcert=system".to_owned(), false),
        (
            "localhost",
            "sslmode=require&sslrootcert=system".to_owned(),
            false,
        ),
        ("localhost", ca.clone(), false),
        ("localhost", format!("sslmode=prefer&{ca}"), false),
    ] {
        let result = connect(&postgres, host, &parameters).await;
        assert_eq!(result.is_ok(), accepted, "{host} {parameters}: {result:?}");
    }
}

#[tokio::test]
async fn a_connection_is_encrypted_if_the_server_supports_it_unless_disabled() {
    let (postgres, sql) = server().await;
    for (mode, encrypted) in [("disable", false), ("prefer", true), ("require", true)] {
        let url = format!("{}?sslmode={mode}", postgres.url());
        let store = Store::new(StoreConfig::new(url, mode)).unwrap();
        store.ping().await.unwrap();
        let seen =
            "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = $1";
        let row = sql.query_one(seen, &[&mode]).await.unwrap();
        assert_eq!(row.get::<_, bool>(0), encrypted, "{mode}");
    }
}

#[tokio::test]
async fn a_dropped_call_is_cancelled_over_tls() {
    let (postgres, sql) = server().await;
    sql.batch_execute("BEGIN; LOCK TABLE orders").await.unwrap();
    let url = format!("{}?sslmode=verify-full&sslrootcert={CA}", postgres.url());
    let url = url.replace("127.0.0.1", "localhost");
    let store = Store::new(StoreConfig {
        statement_timeout: Duration::from_secs(600),
        ..StoreConfig::new(url, "dropped")
    })
    .unwrap();
    let call = tokio::spawn({
        let store = store.clone();
        async move { store.find_many(&[OrderId::generate()]).await }
    });
    let until = async |state: &str| {
        eventually(state, Duration::from_secs(30), async || {
            let seen = "SELECT FROM pg_stat_activity WHERE application_name = 'dropped' AND state = $1";
            let rows = sql.query(seen, &[&state]).await.unwrap();
            // Within a transaction, the view is a snapshot.
            sql.batch_execute("SELECT pg_stat_clear_snapshot()")
                .await
                .unwrap();
            (rows.len() == 1).then_some(())
        })
        .await;
    };
    until("active").await;
    call.abort();
    until("idle").await;
}

#[tokio::test]
async fn a_server_without_tls_is_rejected_if_tls_is_required() {
    let postgres = Postgres::start().await.unwrap();
    throughline_store::migrate(&postgres.url()).await.unwrap();
    connect(&postgres, "127.0.0.1", "sslmode=prefer").await.unwrap();
    let error = connect(&postgres, "127.0.0.1", "sslmode=require")
        .await
        .unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
}

//! The secrets are changed as docs/disaster.md describes, while orders arrive. No request fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use testkit::{Binaries, Database, Postgres, Redis, Service, Stack, StackBuilder};
use tokio::sync::watch;
use tokio::time::interval;
use tokio_postgres::NoTls;
use uuid::Uuid;

use crate::caller::{AUTHENTICATION, token_signed_with};
use crate::least_privilege::{PASSWORD, restrict, url_as};
use crate::shop::{TIMEOUT, binaries, widget};

const NEW_PASSWORD: &str = "93b0c4e86d";
const SECRETS: [&str; 2] = [
    "the old secret, of 32 bytes or more",
    "the new secret, of 32 bytes or more",
];

/// The api and the token that the customer uses from now on; `None` ends it.
type Target = Option<(String, String)>;

/// Sends an order every 10 ms, each of which must be accepted; returns their ids.
async fn customer(mut target: watch::Receiver<Target>, sent: Arc<AtomicUsize>) -> Vec<Uuid> {
    let http = reqwest::Client::new();
    let mut ticks = interval(Duration::from_millis(10));
    let mut ids = Vec::new();
    loop {
        ticks.tick().await;
        let Some((api, token)) = target.borrow_and_update().clone() else {
            return ids;
        };
        let request = http.post(format!("{api}/api/orders")).bearer_auth(token);
        let response = request.json(&widget()).send().await.unwrap();
        let status = response.status();
        let order: Value = response.json().await.unwrap();
        assert_eq!(status, StatusCode::CREATED, "{order}");
        ids.push(order["id"].as_str().unwrap().parse().unwrap());
        sent.fetch_add(1, Ordering::Relaxed);
    }
}

/// Returns once 20 more orders were accepted.
async fn accepts_more(sent: &AtomicUsize) {
    let before = sent.load(Ordering::Relaxed);
    testkit::eventually("20 more orders", TIMEOUT, || async {
        (sent.load(Ordering::Relaxed) >= before + 20).then_some(())
    })
    .await;
}

/// Connections of the programs' roles need a password.
async fn require_passwords(database: &Database) {
    let sql = database.connect().await.unwrap();
    let row = sql.query_one("SHOW hba_file", &[]).await.unwrap();
    let (file, rule): (String, _) = (
        row.get(0),
        "host all throughline_serve,throughline_serve_2 all scram-sha-256",
    );
    let others = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{rule}\n{others}")).unwrap();
    sql.batch_execute("SELECT pg_reload_conf()").await.unwrap();
}

async fn programs(database_url: &str, redis_url: &str, secrets: &[(&str, &str)]) -> StackBuilder {
    let lens = testkit::lens().await.unwrap();
    let mut builder = Stack::builder(database_url, redis_url)
        .binaries(binaries().await)
        .telemetry_to(&lens.otlp_http_url());
    for (service, name, value) in AUTHENTICATION {
        builder = builder.env(service, name, value);
    }
    for (name, value) in secrets {
        builder = builder.env(Service::Api, name, value);
    }
    builder
}

async fn prepare(binaries: &Binaries, database: &Database) {
    let superuser = database.connect().await.unwrap();
    let roles = std::fs::read_to_string(testkit::workspace().join("deploy/postgres/roles.sql")).unwrap();
    superuser.batch_execute(&roles).await.unwrap();
    let password = format!("ALTER ROLE throughline_serve PASSWORD '{PASSWORD}'");
    superuser.batch_execute(&password).await.unwrap();
    let migrate = url_as("throughline_migrate", database.url());
    binaries.migrate(&migrate).await.unwrap();
    require_passwords(database).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn passwords_and_token_secrets_are_changed_without_a_failed_request() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let postgres = Postgres::start().await.unwrap();
    let database = postgres.database().await.unwrap();
    prepare(&binaries().await, &database).await;
    let redis = Redis::start().await.unwrap();
    let admin = "ACL SETUSER admin on nopass ~* &* +@all";
    let admin = admin.split(' ').collect::<Vec<_>>();
    let mut connection = redis.connect().await.unwrap();
    redis::cmd(admin[0])
        .arg(&admin[1..])
        .exec_async(&mut connection)
        .await
        .unwrap();
    let admin = redis::Client::open(redis.url().replace("redis://", "redis://admin:any@")).unwrap();
    let mut admin = admin.get_multiplexed_async_connection().await.unwrap();

    let old_database = url_as(&format!("throughline_serve:{PASSWORD}"), database.url());
    let old_redis = restrict(&redis).await;
    let tokens = SECRETS.map(|secret| token_signed_with(secret, "ada", "orders:write orders:read"));
    let old = programs(&old_database, &old_redis, &[("JWT_SECRET", SECRETS[0])]).await;
    let mut old = old.start_without_migration().await.unwrap();
    let (target, receiver) = watch::channel(Some((old.url(Service::Api), tokens[0].clone())));
    let sent = Arc::new(AtomicUsize::new(0));
    let customer = tokio::spawn(customer(receiver, Arc::clone(&sent)));
    accepts_more(&sent).await;

    // Both values work.
    let sql = database.connect().await.unwrap();
    let role =
        format!("CREATE ROLE throughline_serve_2 LOGIN PASSWORD '{NEW_PASSWORD}' IN ROLE throughline_serve");
    sql.batch_execute(&role).await.unwrap();
    let mut set = redis::cmd("ACL");
    let set = set
        .arg("SETUSER")
        .arg("throughline")
        .arg(format!(">{NEW_PASSWORD}"));
    set.exec_async(&mut admin).await.unwrap();

    // A rolling restart with the new ones.
    let new_database = url_as(&format!("throughline_serve_2:{NEW_PASSWORD}"), database.url());
    let new_redis = old_redis.replace(PASSWORD, NEW_PASSWORD);
    let secrets = [("JWT_SECRET", SECRETS[1]), ("JWT_SECRET_PREVIOUS", SECRETS[0])];
    let new = programs(&new_database, &new_redis, &secrets).await;
    let new = new.only(&[Service::Api, Service::Worker]).env(
        Service::Worker,
        "PAYMENT_GATEWAY_URL",
        &old.url(Service::Gateway),
    );
    let new = new.start_without_migration().await.unwrap();
    for token in &tokens {
        target.send_replace(Some((new.url(Service::Api), token.clone())));
        accepts_more(&sent).await;
    }
    for service in [Service::Api, Service::Worker] {
        assert!(old.stop(service).await.unwrap().success(), "{service}");
    }

    // The old values end.
    let ended = format!("ALTER ROLE throughline_serve PASSWORD '{NEW_PASSWORD}'");
    sql.batch_execute(&ended).await.unwrap();
    let mut set = redis::cmd("ACL");
    let set = set.arg("SETUSER").arg("throughline").arg(format!("<{PASSWORD}"));
    set.exec_async(&mut admin).await.unwrap();
    accepts_more(&sent).await;
    let last = programs(&new_database, &new_redis, &secrets[..1]).await;
    let last = last
        .only(&[Service::Api])
        .start_without_migration()
        .await
        .unwrap();
    target.send_replace(Some((last.url(Service::Api), tokens[1].clone())));
    accepts_more(&sent).await;
    target.send_replace(None);
    let ids = customer.await.unwrap();

    assert!(tokio_postgres::connect(&old_database, NoTls).await.is_err());
    let refused = redis::Client::open(old_redis).unwrap();
    assert!(refused.get_multiplexed_async_connection().await.is_err());
    let request = reqwest::Client::new().get(format!("{}/api/orders", last.url(Service::Api)));
    let response = request.bearer_auth(&tokens[0]).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(chaos::missing(&sql, &ids).await.unwrap().is_empty());
    testkit::eventually("every order completed", TIMEOUT, || async {
        let count = "SELECT count(*) FROM orders WHERE status = 'completed'";
        let completed: i64 = sql.query_one(count, &[]).await.ok()?.get(0);
        (completed == i64::try_from(ids.len()).ok()?).then_some(())
    })
    .await;
}

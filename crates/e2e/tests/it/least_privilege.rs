//! The product runs with the rights of `deploy/postgres/roles.sql` and `deploy/redis/users.acl`, and no
//! others.

use redis::RedisResult;
use serde_json::json;
use testkit::{Postgres, Redis, Service, Stack, workspace};
use tokio::process::Command;
use tokio_postgres::NoTls;
use tokio_postgres::error::SqlState;

use crate::shop::{TIMEOUT, binaries, widget};

pub(crate) const PASSWORD: &str = "4e57d0f1a2";

/// The same database as another role, or as `role:password`. Test servers ask for no password.
pub(crate) fn url_as(role: &str, url: &str) -> String {
    let (_, rest) = url.split_once('@').unwrap();
    format!("postgres://{role}@{rest}")
}

/// Creates the users of the file, with a password, and gives the URL of the programs' user.
pub(crate) async fn restrict(redis: &Redis) -> String {
    let users = std::fs::read_to_string(workspace().join("deploy/redis/users.acl")).unwrap();
    let mut connection = redis.connect().await.unwrap();
    // The user that this connection has comes last.
    for user in users.lines().rev() {
        let user = user.replace("PASSWORD", PASSWORD);
        let mut rules = user.split_whitespace().skip(1);
        let mut set = redis::cmd("ACL");
        set.arg("SETUSER")
            .arg(rules.next())
            .arg("reset")
            .arg(rules.collect::<Vec<_>>());
        set.exec_async(&mut connection).await.unwrap();
    }
    redis
        .url()
        .replace("redis://", &format!("redis://throughline:{PASSWORD}@"))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_product_runs_with_the_documented_rights_alone() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let postgres = Postgres::start().await.unwrap();
    let database = postgres.database().await.unwrap();
    let superuser = database.connect().await.unwrap();
    let roles = std::fs::read_to_string(workspace().join("deploy/postgres/roles.sql")).unwrap();
    // It may run again.
    superuser.batch_execute(&roles).await.unwrap();
    superuser.batch_execute(&roles).await.unwrap();
    let serve = url_as("throughline_serve", database.url());
    let redis = Redis::start().await.unwrap();
    let redis_url = restrict(&redis).await;

    let binaries = binaries().await;
    let migrate = url_as("throughline_migrate", database.url());
    binaries.migrate(&migrate).await.unwrap();
    let stack = Stack::builder(&serve, &redis_url)
        .binaries(binaries.clone())
        .env(Service::Worker, "ORDER_RETENTION", "90d")
        .start_without_migration()
        .await
        .unwrap();

    let api = stack.url(Service::Api);
    let http = reqwest::Client::new();
    let mut order = widget();
    order["payment_method"] = json!("credit_card");
    let response = http
        .post(format!("{api}/api/orders"))
        .json(&order)
        .send()
        .await
        .unwrap();
    assert_eq!(response.status(), 201);
    let created: serde_json::Value = response.json().await.unwrap();
    let one = format!("{api}/api/orders/{}", created["id"].as_str().unwrap());
    testkit::eventually("completed", TIMEOUT, async || {
        let order: serde_json::Value = http.get(&one).send().await.ok()?.json().await.ok()?;
        (order["status"] == "completed").then_some(())
    })
    .await;
    for path in ["orders", "orders/analytics"] {
        let response = http.get(format!("{api}/api/{path}")).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
    }
    for arguments in [["prune", "--older-than", "90d"], ["erase", "--customer", "ada"]] {
        let mut command = Command::new(binaries.program(Service::Api));
        command.args(arguments).env("DATABASE_URL", &serve);
        command.env("OTEL_SDK_DISABLED", "true");
        let output = command.output().await.unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
    }
    let log = |service| std::fs::read_to_string(stack.logs().join(format!("{service}.log"))).unwrap();
    for service in [Service::Api, Service::Worker] {
        let log = log(service);
        for refusal in ["permission denied", "NOPERM", "must be owner"] {
            assert!(!log.contains(refusal), "{service}:\n{log}");
        }
    }

    let (refused, connection) = tokio_postgres::connect(&serve, NoTls).await.unwrap();
    tokio::spawn(connection);
    for statement in [
        "CREATE TABLE mine (id int)",
        "ALTER TABLE orders ADD COLUMN mine int",
        "DROP TABLE orders",
        "TRUNCATE orders",
        "DELETE FROM __diesel_schema_migrations",
        "COPY orders TO PROGRAM 'cat'",
        "SET ROLE throughline_migrate",
        "CREATE TEMPORARY TABLE mine (id int)",
    ] {
        let error = refused.batch_execute(statement).await.unwrap_err();
        let code = error.code().map(SqlState::code);
        assert_eq!(code, Some("42501"), "{statement}: {error}");
    }
    let client = redis::Client::open(redis_url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    for command in [
        &["FLUSHALL"][..],
        &["CONFIG", "GET", "*"],
        &["KEYS", "*"],
        &["SCAN", "0"],
        &["GET", "another:key"],
        &["PUBLISH", "another", ""],
        &["ACL", "LIST"],
        &["SCRIPT", "FLUSH"],
        &["FUNCTION", "LIST"],
    ] {
        let mut cmd = redis::cmd(command[0]);
        cmd.arg(&command[1..]);
        let refused: RedisResult<redis::Value> = cmd.query_async(&mut connection).await;
        let error = refused.unwrap_err();
        assert_eq!(error.code(), Some("NOPERM"), "{command:?}: {error}");
    }
    let mut default_user = redis.connect().await.unwrap();
    let refused: RedisResult<redis::Value> = redis::cmd("PING").query_async(&mut default_user).await;
    assert_eq!(
        refused.unwrap_err().code(),
        Some("NOAUTH"),
        "the default user is on"
    );
}

//! The start order does not matter: services wait for their servers.

use testkit::{Binaries, Postgres, Proxy, Redis, Service, Stack};

use crate::shop::{TIMEOUT, binaries};

/// The servers run before the stack starts, because it must be migrated; the services reach them through
/// proxies that are cut at first.
#[tokio::test(flavor = "multi_thread")]
async fn services_that_start_before_their_servers_wait_for_them_and_log_it() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let database = testkit::database().await.unwrap();
    let redis = Redis::start().await.unwrap();
    let postgres_proxy = Proxy::start(database.url()).await.unwrap();
    let redis_proxy = Proxy::start(redis.url()).await.unwrap();
    let binaries: Binaries = binaries().await;
    binaries.migrate(database.url()).await.unwrap();
    let lens = testkit::lens().await.unwrap();

    postgres_proxy.cut().await;
    redis_proxy.cut().await;
    let starting = tokio::spawn({
        let logs = std::env::temp_dir().join(format!("throughline-start-{}", std::process::id()));
        let stack = Stack::builder(database.url(), redis.url())
            .binaries(binaries)
            .logs(&logs)
            .only(&[Service::Api, Service::Worker])
            .telemetry_to(&lens.otlp_http_url())
            .env(Service::Api, "DATABASE_URL", postgres_proxy.url())
            .env(Service::Api, "REDIS_URL", redis_proxy.url())
            .env(Service::Worker, "DATABASE_URL", postgres_proxy.url())
            .env(Service::Worker, "REDIS_URL", redis_proxy.url());
        async move { stack.start().await }
    });
    let logs = std::env::temp_dir().join(format!("throughline-start-{}", std::process::id()));
    let logs_line = |service: Service, words: &'static str| {
        let log = logs.join(format!("{service}.log"));
        testkit::eventually(words, TIMEOUT, move || {
            let log = log.clone();
            async move { std::fs::read_to_string(log).ok()?.contains(words).then_some(()) }
        })
    };
    logs_line(Service::Worker, "cannot reconcile").await;
    for service in [Service::Api, Service::Worker] {
        logs_line(service, "waiting for PostgreSQL").await;
        logs_line(service, "waiting for Redis").await;
    }
    assert!(!starting.is_finished(), "a service was ready without its servers");

    postgres_proxy.restore().await.unwrap();
    redis_proxy.restore().await.unwrap();
    let stack = starting.await.unwrap();
    let stack = stack.expect("ready once its servers are there");
    for service in [Service::Api, Service::Worker] {
        logs_line(service, "PostgreSQL is reachable").await;
        logs_line(service, "Redis is reachable").await;
    }
    let url = format!("{}/api/orders", stack.url(Service::Api));
    let post = reqwest::Client::new().post(url).json(&crate::shop::widget());
    assert_eq!(post.send().await.unwrap().status(), 201);
    drop(stack);
    std::fs::remove_dir_all(&logs).unwrap();
}

#[tokio::test]
async fn replicas_that_migrate_at_the_same_time_all_succeed() {
    let postgres = Postgres::start().await.unwrap();
    let database = postgres.database().await.unwrap();
    let binaries = binaries().await;
    let replicas = (0..6).map(|_| binaries.migrate(database.url()));
    for migrated in futures_util::future::join_all(replicas).await {
        migrated.unwrap();
    }
}

#[tokio::test]
async fn a_migration_waits_for_its_server_but_not_for_one_that_rejects_it() {
    let mut postgres = Postgres::start().await.unwrap();
    let database = postgres.database().await.unwrap();
    let binaries = binaries().await;
    let unknown = format!("{}_not", database.url());
    let rejected = binaries.migrate(&unknown).await.unwrap_err().to_string();
    assert!(rejected.contains("does not exist"), "{rejected}");

    postgres.stop().await.unwrap();
    let (migrated, restarted) = tokio::join!(binaries.migrate(database.url()), postgres.restart());
    restarted.unwrap();
    migrated.unwrap();
}

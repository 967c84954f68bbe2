//! A primary dies, and its replica takes its place: orders are taken before, meanwhile and afterwards, and all of them complete.

use std::sync::Arc;

use reqwest::StatusCode;
use testkit::{Postgres, Proxy, Redis, Sentinel, Service};

use crate::shop::{PATIENCE, Shop, widget};

/// The endpoint is a proxy that follows the primary, as in front of any Sentinel. Without Redis, an order is taken all the same.
#[tokio::test(flavor = "multi_thread")]
async fn redis_behind_sentinel_fails_over_and_every_order_is_taken_and_completes() {
    let (primary, replica) = (Redis::start().await.unwrap(), Redis::start().await.unwrap());
    replica.replicate(&primary).await.unwrap();
    let sentinel = Sentinel::monitor(&primary).await.unwrap();
    let endpoint = Arc::new(Proxy::start(primary.url()).await.unwrap());
    let database = testkit::database().await.unwrap();
    let urls = [("REDIS_URL", endpoint.url())];
    let mut shop = Shop::open_at(database, primary, &urls).await;

    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(shop.order(&widget()).await);
    }
    shop.redis.kill().await.unwrap();
    while sentinel.primary().await.unwrap() != replica.url() {
        ids.push(shop.order(&widget()).await);
    }
    endpoint.retarget(replica.url()).unwrap();
    for _ in 0..20 {
        ids.push(shop.order(&widget()).await);
    }
    for id in ids {
        assert_eq!(shop.settled(&id).await["status"], "completed");
    }
}

/// Both servers stand in the URL. The replica confirms each commit, so none that was answered 201 is lost with the primary.
#[tokio::test(flavor = "multi_thread")]
async fn postgresql_fails_over_to_its_replica_and_no_accepted_order_is_lost() {
    let mut primary = Postgres::start().await.unwrap();
    let database = primary.database().await.unwrap();
    let replica = primary.start_replica().await.unwrap();
    let port = |url: &str| url::Url::parse(url).unwrap().port().unwrap();
    // The replica first: who connects to it before it is promoted has to go on to the other.
    let hosts = format!(
        "127.0.0.1:{},127.0.0.1:{}",
        port(&replica.url()),
        port(database.url())
    );
    let (_, name) = database.url().rsplit_once('/').unwrap();
    let url = format!("postgres://postgres@{hosts}/{name}");
    let redis = Redis::start().await.unwrap();
    let shop = Shop::open_at(database, redis, &[("DATABASE_URL", &url)]).await;

    let mut ids = Vec::new();
    for _ in 0..20 {
        ids.push(shop.order(&widget()).await);
    }
    primary.kill().await.unwrap();
    let refused = testkit::eventually("a refusal", PATIENCE, || async {
        let (status, _) = shop.post(&widget()).await;
        (status != StatusCode::CREATED).then_some(status)
    });
    assert_eq!(refused.await, StatusCode::SERVICE_UNAVAILABLE);
    replica.promote().await.unwrap();
    let taken = testkit::eventually("an order to be taken", PATIENCE, || async {
        let (status, order) = shop.post(&widget()).await;
        (status == StatusCode::CREATED).then(|| order["id"].as_str().unwrap().to_owned())
    });
    ids.push(taken.await);
    for _ in 0..20 {
        ids.push(shop.order(&widget()).await);
    }
    for id in ids {
        assert_eq!(shop.settled(&id).await["status"], "completed");
    }
}

/// Nothing says that the connections are dead: they are open, and silent.
#[tokio::test(flavor = "multi_thread")]
async fn orders_complete_though_the_connections_to_redis_swallow_everything() {
    let redis = Redis::start().await.unwrap();
    let endpoint = Proxy::start(redis.url()).await.unwrap();
    let database = testkit::database().await.unwrap();
    let shop = Shop::open_at(database, redis, &[("REDIS_URL", endpoint.url())]).await;
    endpoint.swallow();
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(shop.order(&widget()).await);
    }
    for id in ids {
        assert_eq!(shop.settled(&id).await["status"], "completed");
    }
    let api = shop.stack.url(Service::Api);
    testkit::eventually("the api to reach Redis", PATIENCE, || async {
        let answer = shop.http.get(format!("{api}/health/ready")).send().await.unwrap();
        let answer: serde_json::Value = answer.json().await.unwrap();
        (answer["status"] == "ok").then_some(())
    })
    .await;
}

/// PostgreSQL did what it was asked, and nobody heard of it: the worker has the order all the same, and knows how it ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_answers_from_postgresql_are_lost_neither_strands_an_order_nor_forgets_its_end() {
    let database = testkit::database().await.unwrap();
    let way = Proxy::start(database.url()).await.unwrap();
    let env = [
        (Service::Worker, "DATABASE_URL", way.url()),
        (Service::Worker, "DATABASE_POOL_SIZE", "1"),
        (Service::Worker, "DATABASE_STATEMENT_TIMEOUT", "1s"),
    ];
    let redis = Redis::start().await.unwrap();
    let shop = Shop::start_with(database, redis, &env).await;
    // By now the pool's only connection is there.
    let first = shop.order(&widget()).await;
    assert_eq!(shop.settled(&first).await["status"], "completed");

    // A claim, or a look of the reconciler just before it.
    way.swallow_responses();
    let claimed = shop.order(&widget()).await;
    let order = shop.settled(&claimed).await;
    assert_eq!(order["status"], "completed");
    assert_eq!(order["attempt"], 1, "it waited for the end of a lease");

    shop.gateway_faults(&serde_json::json!({ "latency_ms": 1000 }))
        .await;
    let mut paid = widget();
    paid["payment_method"] = "credit_card".into();
    let ending = shop.order(&paid).await;
    testkit::eventually("the charge", PATIENCE, || async {
        (shop.read(&ending).await["status"] == "processing").then_some(())
    })
    .await;
    way.swallow_responses();
    let order = shop.settled(&ending).await;
    assert_eq!(order["attempt"], 1);
    let log = shop.stack.logs().join("throughline-worker.log");
    testkit::eventually("the worker to know the end", PATIENCE, || async {
        let log = std::fs::read_to_string(&log).unwrap();
        let of_order = |line: &&str| line.contains(&ending) && line.contains("attempt ended");
        log.lines().find(of_order).map(|_| ())
    })
    .await;
    assert!(
        !std::fs::read_to_string(&log)
            .unwrap()
            .contains("the lease was lost")
    );
}

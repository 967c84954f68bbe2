//! A primary fails, and its replica is promoted: orders are accepted before, during and after, and all
//! complete.

use std::sync::Arc;

use reqwest::StatusCode;
use testkit::{Postgres, Proxy, Redis, Sentinel, Service, Signal};
use tokio_postgres::NoTls;

use crate::shop::{Shop, TIMEOUT, widget};

/// The endpoint is a proxy to the current primary, as in front of any Sentinel. Orders are accepted without
/// Redis.
#[tokio::test(flavor = "multi_thread")]
async fn redis_behind_sentinel_fails_over_and_every_order_is_accepted_and_completes() {
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
        assert_eq!(shop.final_order(&id).await["status"], "completed");
    }
}

/// The URL has both servers. The replica confirms each commit, so no order with a response of 201 is lost.
#[tokio::test(flavor = "multi_thread")]
async fn postgresql_fails_over_to_its_replica_and_no_accepted_order_is_lost() {
    let mut primary = Postgres::start().await.unwrap();
    let database = primary.database().await.unwrap();
    let replica = primary.start_replica().await.unwrap();
    let port = |url: &str| url::Url::parse(url).unwrap().port().unwrap();
    // The replica comes first: before its promotion, a client must go on to the other host.
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
    let rejected = testkit::eventually("a rejected order", TIMEOUT, || async {
        let (status, _) = shop.post(&widget()).await;
        (status != StatusCode::CREATED).then_some(status)
    });
    assert_eq!(rejected.await, StatusCode::SERVICE_UNAVAILABLE);
    replica.promote().await.unwrap();
    let accepted = testkit::eventually("an accepted order", TIMEOUT, || async {
        let (status, order) = shop.post(&widget()).await;
        (status == StatusCode::CREATED).then(|| order["id"].as_str().unwrap().to_owned())
    });
    ids.push(accepted.await);
    for _ in 0..20 {
        ids.push(shop.order(&widget()).await);
    }
    for id in ids {
        assert_eq!(shop.final_order(&id).await["status"], "completed");
    }
}

/// Without a synchronous replica PostgreSQL loses what it acknowledged: an order can be lost, and created
/// again with its Idempotency-Key. An order whose charge was lost is not charged again: the gateway knows its
/// key.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_asynchronous_replica_had_not_received_is_lost_and_no_order_is_charged_twice() {
    let mut primary = Postgres::start().await.unwrap();
    let endpoint = Proxy::start(&primary.url()).await.unwrap();
    let database = primary.database().await.unwrap().behind(&endpoint).unwrap();
    let replica = primary.start_asynchronous_replica().await.unwrap();
    let env = [(Service::Api, "ORDER_DISPATCH_GRACE", "1s")];
    let mut shop = Shop::start_with(database, Redis::start().await.unwrap(), &env).await;

    shop.stack.signal(Service::Worker, Signal::STOP).unwrap();
    let mut payable = widget();
    payable["payment_method"] = "credit_card".into();
    let replicated = shop.order(&payable).await;
    let (_, name) = shop.database.url().rsplit_once('/').unwrap();
    let mut at_replica = url::Url::parse(&replica.url()).unwrap();
    at_replica.set_path(name);
    let (sql, connection) = tokio_postgres::connect(at_replica.as_str(), NoTls).await.unwrap();
    tokio::spawn(connection);
    testkit::eventually("the order at the replica", TIMEOUT, || async {
        sql.query_opt("SELECT 1 FROM orders", &[])
            .await
            .unwrap()
            .map(drop)
    })
    .await;
    replica.stop_replication().await.unwrap();
    shop.stack.signal(Service::Worker, Signal::CONT).unwrap();
    assert_eq!(shop.final_order(&replicated).await["status"], "completed");
    shop.stack.stop(Service::Worker).await.unwrap();
    let lost = shop.order_with_key(&widget(), "a-key").await;

    primary.crash().await.unwrap();
    replica.promote().await.unwrap();
    endpoint.retarget(&replica.url()).unwrap();
    let older = testkit::eventually("the replica to respond", TIMEOUT, || async {
        let order = shop.read(&replicated).await;
        (order["id"] == replicated.as_str()).then_some(order)
    });
    assert_eq!(older.await["status"], "pending");
    assert_eq!(shop.read(&lost).await["status"], 404);
    shop.stack.restart(Service::Worker).await.unwrap();
    let created_again = shop.order_with_key(&widget(), "a-key").await;
    assert_ne!(created_again, lost);
    for id in [&replicated, &created_again] {
        assert_eq!(shop.final_order(id).await["status"], "completed");
    }
    assert_eq!(shop.charges(&replicated).await, 1);
}

/// The connections give no sign of the failure: they are open, and nothing arrives.
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
        assert_eq!(shop.final_order(&id).await["status"], "completed");
    }
    let api = shop.stack.url(Service::Api);
    testkit::eventually("the api to reach Redis", TIMEOUT, || async {
        let response = shop.http.get(format!("{api}/health/ready")).send().await.unwrap();
        let health: serde_json::Value = response.json().await.unwrap();
        (health["status"] == "ok").then_some(())
    })
    .await;
}

/// PostgreSQL executed the statement, but its response was lost: the worker still has the order, and knows
/// its outcome.
#[tokio::test(flavor = "multi_thread")]
async fn a_worker_whose_responses_from_postgresql_are_lost_neither_strands_an_order_nor_loses_its_outcome() {
    let database = testkit::database().await.unwrap();
    let proxy = Proxy::start(database.url()).await.unwrap();
    let env = [
        (Service::Worker, "DATABASE_URL", proxy.url()),
        (Service::Worker, "DATABASE_POOL_SIZE", "1"),
        (Service::Worker, "DATABASE_STATEMENT_TIMEOUT", "1s"),
    ];
    let redis = Redis::start().await.unwrap();
    let shop = Shop::start_with(database, redis, &env).await;
    // Afterwards the pool's only connection is open.
    let first = shop.order(&widget()).await;
    assert_eq!(shop.final_order(&first).await["status"], "completed");

    // It affects a claim, or a pass of the reconciler just before it.
    proxy.swallow_responses();
    let claimed = shop.order(&widget()).await;
    let order = shop.final_order(&claimed).await;
    assert_eq!(order["status"], "completed");
    assert_eq!(order["attempt"], 1, "it waited until a lease expired");

    shop.gateway_faults(&serde_json::json!({ "latency_ms": 1000 }))
        .await;
    let mut paid = widget();
    paid["payment_method"] = "credit_card".into();
    let charged = shop.order(&paid).await;
    testkit::eventually("the charge", TIMEOUT, || async {
        (shop.read(&charged).await["status"] == "processing").then_some(())
    })
    .await;
    proxy.swallow_responses();
    let order = shop.final_order(&charged).await;
    assert_eq!(order["attempt"], 1);
    let log = shop.stack.logs().join("throughline-worker.log");
    testkit::eventually("the worker to know the outcome", TIMEOUT, || async {
        let log = std::fs::read_to_string(&log).unwrap();
        let of_order = |line: &&str| line.contains(&charged) && line.contains("attempt ended");
        log.lines().find(of_order).map(|_| ())
    })
    .await;
    assert!(
        !std::fs::read_to_string(&log)
            .unwrap()
            .contains("the lease was lost")
    );
}

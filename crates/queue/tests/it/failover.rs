//! A stable endpoint leads to another server, or a connection stops working without being closed.

use std::time::Duration;

use redis::ServerErrorKind::ReadOnly;
use testkit::{Proxy, Redis, eventually};
use throughline_queue::{Queue, QueueConfig};
use tokio::time::timeout;

use crate::support::{TIMEOUT, Worker, config, nothing, run_redis};

/// Redis closes no connection when it becomes a replica: redis-rs' own manager keeps using it forever.
#[tokio::test]
async fn a_primary_that_becomes_a_replica_is_left_for_the_new_one() {
    let (old, new) = (Redis::start().await.unwrap(), Redis::start().await.unwrap());
    let endpoint = Proxy::start(old.url()).await.unwrap();
    let queue = Queue::<u32>::connect(at(&endpoint)).await.unwrap();
    let worker = Worker::start(&queue, 4, nothing);
    queue.enqueue("before", &1).await.unwrap();
    worker.until_seen(1).await;
    let client = redis::Client::open(endpoint.url()).unwrap();
    let mut manager = client.get_connection_manager().await.unwrap();

    new.replicate(&old).await.unwrap();
    new.promote().await.unwrap();
    old.replicate(&new).await.unwrap();
    endpoint.retarget(new.url()).unwrap();
    for _ in 0..2 {
        let set = redis::cmd("SET").arg("a").arg("b").to_owned();
        let error = set.exec_async(&mut manager).await.unwrap_err();
        assert_eq!(error.kind(), ReadOnly.into(), "{error}");
    }
    queue.enqueue("after", &2).await.unwrap();
    worker.until_seen(2).await;
    worker.stop().await;
}

/// Callers that enqueue give up before the response timeout, so they never see it.
#[tokio::test]
async fn a_connection_that_swallows_everything_is_replaced_though_callers_give_up_early() {
    let redis = Redis::start().await.unwrap();
    let endpoint = Proxy::start(redis.url()).await.unwrap();
    let config = at(&endpoint).response_timeout(Duration::from_millis(500));
    let queue = Queue::<u32>::connect(config).await.unwrap();
    endpoint.swallow();
    eventually("an enqueued job", TIMEOUT, async || {
        let enqueued = timeout(Duration::from_millis(100), queue.enqueue("a", &1));
        enqueued.await.ok()?.ok()
    })
    .await;
}

#[tokio::test]
async fn a_worker_whose_connection_swallows_everything_goes_on_with_another() {
    let redis = Redis::start().await.unwrap();
    let endpoint = Proxy::start(redis.url()).await.unwrap();
    let config = at(&endpoint).response_timeout(Duration::from_millis(500));
    let queue = Queue::<u32>::connect(config).await.unwrap();
    let worker = Worker::start(&queue, 4, nothing);
    worker.until_running(true).await;
    endpoint.swallow();
    eventually("an enqueued job", TIMEOUT, async || {
        queue.enqueue("a", &1).await.ok()
    })
    .await;
    worker.until_seen(1).await;
    worker.stop().await;
}

/// For instance by a server that was started without its password, or has not loaded it yet.
#[tokio::test]
async fn a_password_that_was_rejected_once_is_retried() {
    let redis = Redis::start().await.unwrap();
    let admin = Queue::<u32>::connect(config(&redis)).await.unwrap();
    let mut admin = admin.connection();
    let _: () = run_redis(
        &mut admin,
        &["ACL", "SETUSER", "shop", "on", ">right", "~*", "&*", "+@all"],
    )
    .await;
    let url = redis.url().replace("redis://", "redis://shop:right@");
    let queue = Queue::<u32>::connect(QueueConfig::new(url, "password"))
        .await
        .unwrap();

    let _: () = run_redis(&mut admin, &["ACL", "SETUSER", "shop", "resetpass", ">wrong"]).await;
    let _: u32 = run_redis(&mut admin, &["CLIENT", "KILL", "USER", "shop"]).await;
    eventually("an authentication error", TIMEOUT, async || {
        let error = queue.ping().await.err()?.to_string();
        error.contains("authentication").then_some(())
    })
    .await;
    let _: () = run_redis(&mut admin, &["ACL", "SETUSER", "shop", ">right"]).await;
    eventually("a response", TIMEOUT, async || queue.ping().await.ok()).await;
}

fn at(endpoint: &Proxy) -> QueueConfig {
    QueueConfig::new(endpoint.url(), "failover")
}

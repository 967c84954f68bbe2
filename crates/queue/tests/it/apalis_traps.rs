//! What plain apalis-redis 1.0.0 does. If a test fails after an upgrade, a workaround can be removed.

use std::time::Duration;

use apalis::prelude::{TaskSink, WorkerBuilder, WorkerContext};
use apalis_redis::{Config, RedisStorage};
use throughline_queue::{Connection, Queue};
use tokio::time::timeout;

use crate::support::{TIMEOUT, key, queue, run_redis};

async fn plain(queue: &Queue<u32>) -> RedisStorage<u32, Connection> {
    let config = Config::default().queue(queue.name());
    RedisStorage::new(queue.connection()).with_config(config)
}

#[tokio::test]
async fn pushed_jobs_above_eight_thousand_can_never_be_fetched() {
    let queue = queue::<u32>().await;
    let mut storage = plain(&queue).await;
    for n in 0..10 {
        storage
            .push_bulk((n * 1000..(n + 1) * 1000).collect())
            .await
            .unwrap();
    }
    let worker = WorkerBuilder::new("plain")
        .backend(storage)
        .build(async |_: u32| {});
    let error = timeout(TIMEOUT, worker.run()).await.unwrap().unwrap_err();
    assert!(
        format!("{error:?}").contains("too many results to unpack"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_worker_stays_registered_after_it_stopped_and_cannot_restart_under_its_name() {
    let queue = queue::<u32>().await;
    let worker = async || {
        let storage = plain(&queue).await;
        WorkerBuilder::new("plain")
            .backend(storage)
            .build(async |_: u32, worker: WorkerContext| {
                worker.stop().unwrap();
            })
    };
    plain(&queue).await.push(1).await.unwrap();
    timeout(TIMEOUT, worker().await.run()).await.unwrap().unwrap();
    let workers: Vec<String> = run_redis(
        &mut queue.connection(),
        &["ZRANGE", &key(&queue, "workers"), "0", "-1"],
    )
    .await;
    assert_eq!(workers, ["plain"]);
    let error = timeout(TIMEOUT, worker().await.run()).await.unwrap().unwrap_err();
    assert!(
        format!("{error:?}").contains("worker is still active"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_waiting_job_without_payload_ends_every_worker_that_fetches_it() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &1).await.unwrap();
    let data = key(&queue, "data");
    let _: u32 = run_redis(&mut queue.connection(), &["HDEL", &data, "a"]).await;
    let worker = WorkerBuilder::new("plain")
        .backend(plain(&queue).await)
        .build(async |_: u32| {});
    let error = timeout(TIMEOUT, worker.run()).await.unwrap().unwrap_err();
    assert!(
        format!("{error:?}").contains("Invalid job data format"),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_unreadable_payload_ends_the_worker() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &1).await.unwrap();
    let data = key(&queue, "data");
    let _: u32 = run_redis(&mut queue.connection(), &["HSET", &data, "a", "?"]).await;
    let worker = WorkerBuilder::new("plain")
        .backend(plain(&queue).await)
        .build(async |_: u32| {});
    assert!(timeout(TIMEOUT, worker.run()).await.unwrap().is_err());
}

#[tokio::test]
async fn finished_jobs_are_never_deleted() {
    let queue = queue::<u32>().await;
    let mut storage = plain(&queue).await;
    storage.push(1).await.unwrap();
    let config = Config::default()
        .queue(queue.name())
        .heartbeat_interval(Duration::from_millis(10));
    let worker = WorkerBuilder::new("plain")
        .backend(storage.with_config(config))
        .build(async |_: u32, worker: WorkerContext| worker.stop().unwrap());
    timeout(TIMEOUT, worker.run()).await.unwrap().unwrap();
    let stored: u32 = run_redis(&mut queue.connection(), &["HLEN", &key(&queue, "data")]).await;
    assert_eq!(stored, 1);
}

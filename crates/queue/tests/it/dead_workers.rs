use std::collections::HashSet;
use std::future::pending;

use testkit::eventually;

use crate::support::{TIMEOUT, Worker, jobs, key, nothing, queue, run_redis, until_idle};

#[tokio::test]
async fn the_jobs_of_a_killed_worker_are_delivered_to_another() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..10)).await.unwrap();
    let killed = Worker::start(&queue, 4, |_| pending());
    killed.until_seen(4).await;
    let name = killed.names()[0].to_string();
    killed.kill().await;
    assert!(queue.stats().await.unwrap().in_flight >= 4);

    // Backdates its last heartbeat instead of waiting for 30 s.
    let mut redis = queue.connection();
    let workers = key(&queue, "workers");
    let _: u32 = run_redis(&mut redis, &["ZADD", &workers, "XX", "1000", &name]).await;
    let other = Worker::start(&queue, 4, nothing);
    until_idle(&queue).await;
    let seen = other.stop().await;
    assert_eq!(seen.len(), 10);
    assert_eq!(seen.into_iter().collect::<HashSet<_>>().len(), 10);
    let metadata = key(&queue, &format!("workers:metadata:{name}"));
    assert_eq!(run_redis::<u32>(&mut redis, &["EXISTS", &metadata]).await, 0);
}

#[tokio::test]
async fn a_worker_that_is_alive_keeps_its_jobs() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &1).await.unwrap();
    let busy = Worker::start(&queue, 4, |_| pending());
    busy.until_seen(1).await;
    // Another worker starts, and searches for dead workers at once.
    let idle = Worker::start(&queue, 4, nothing);
    idle.until_running(true).await;
    queue.clean_up(100).await.unwrap();
    assert_eq!(queue.stats().await.unwrap().in_flight, 1);
    assert!(idle.stop().await.is_empty());
    busy.kill().await;
}

#[tokio::test]
async fn a_worker_without_a_free_slot_still_sends_heartbeats() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..8)).await.unwrap();
    let worker = Worker::start(&queue, 5, |_| pending());
    worker.until_seen(5).await;
    // The batch is two: the sixth job waits inside the worker, and plain apalis would send no heartbeat now.
    let six = async || (queue.stats().await.unwrap().in_flight == 6).then_some(());
    eventually("a fetched job that waits", TIMEOUT, six).await;

    let (mut redis, workers) = (queue.connection(), key(&queue, "workers"));
    let name = worker.names()[0].to_string();
    let _: u32 = run_redis(&mut redis, &["ZADD", &workers, "XX", "1000", &name]).await;
    eventually("a heartbeat", TIMEOUT, async || {
        let mut redis = queue.connection();
        let seen: f64 = run_redis(&mut redis, &["ZSCORE", &workers, &name]).await;
        (seen > 1000.0).then_some(())
    })
    .await;
    worker.kill().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_worker_may_have_held_any_number_of_jobs() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..10_000)).await.unwrap();
    let mut redis = queue.connection();
    let (active, workers) = (key(&queue, "active"), key(&queue, "workers"));
    let ids: Vec<String> = run_redis(&mut redis, &["LRANGE", &active, "0", "-1"]).await;
    let _: () = redis::pipe()
        .del(&active)
        .sadd(key(&queue, "inflight:dead"), ids)
        .zadd(&workers, "dead", 1000)
        .query_async(&mut redis)
        .await
        .unwrap();

    let worker = Worker::start(&queue, 64, nothing);
    until_idle(&queue).await;
    assert_eq!(worker.stop().await.len(), 10_000);
}

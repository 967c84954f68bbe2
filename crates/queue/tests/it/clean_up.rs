use std::future::pending;

use testkit::Redis;
use throughline_queue::{Enqueued, Queue};

use crate::support::{Worker, config, jobs, key, nothing, queue, run_redis, until_idle};

#[tokio::test]
async fn clean_up_leaves_redis_as_it_was() {
    let redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    queue.begin_epoch().await.unwrap();
    let worker = Worker::start(&queue, 16, nothing);
    worker.until_running(true).await;
    let mut connection = queue.connection();
    let before: u32 = run_redis(&mut connection, &["DBSIZE"]).await;

    queue.enqueue_many(&jobs(0..1500)).await.unwrap();
    let data = key(&queue, "data");
    queue.enqueue("poison", &0).await.unwrap();
    let _: u32 = run_redis(&mut connection, &["HSET", &data, "poison", "?"]).await;
    until_idle(&queue).await;
    assert!(run_redis::<u32>(&mut connection, &["DBSIZE"]).await > before + 1500);

    assert_eq!(queue.clean_up(10_000).await.unwrap(), 1501);
    assert_eq!(queue.clean_up(10_000).await.unwrap(), 0);
    assert_eq!(run_redis::<u32>(&mut connection, &["DBSIZE"]).await, before);
    worker.stop().await;
}

#[tokio::test]
async fn clean_up_deletes_no_more_than_its_limit() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..1200)).await.unwrap();
    let worker = Worker::start(&queue, 16, nothing);
    until_idle(&queue).await;
    worker.stop().await;
    assert_eq!(queue.clean_up(700).await.unwrap(), 700);
    assert_eq!(queue.clean_up(700).await.unwrap(), 500);
}

#[tokio::test]
async fn clean_up_spares_jobs_that_wait_or_run() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..8)).await.unwrap();
    let busy = Worker::start(&queue, 4, |_| pending());
    busy.until_seen(4).await;
    assert_eq!(queue.clean_up(100).await.unwrap(), 0);
    let outcome = queue.enqueue_many(&jobs(0..8)).await.unwrap();
    assert_eq!(outcome, [Enqueued::AlreadyQueued; 8]);
    busy.kill().await;
}

#[tokio::test]
async fn clean_up_spares_a_finished_job_that_was_enqueued_again() {
    let queue = queue::<u32>().await;
    let worker = Worker::start(&queue, 4, nothing);
    queue.enqueue("a", &1).await.unwrap();
    until_idle(&queue).await;
    worker.stop().await;
    queue.enqueue("a", &1).await.unwrap();
    assert_eq!(queue.clean_up(100).await.unwrap(), 0);
    assert_eq!(queue.stats().await.unwrap().depth, 1);

    let worker = Worker::start(&queue, 4, nothing);
    until_idle(&queue).await;
    assert_eq!(worker.stop().await, ["a"]);
}

#[tokio::test]
async fn clean_up_puts_back_the_jobs_of_a_dead_worker() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &1).await.unwrap();
    let killed = Worker::start(&queue, 1, |_| pending());
    killed.until_seen(1).await;
    let name = killed.names()[0].to_string();
    killed.kill().await;
    let (workers, mut redis) = (key(&queue, "workers"), queue.connection());
    let _: u32 = run_redis(&mut redis, &["ZADD", &workers, "XX", "1000", &name]).await;
    queue.clean_up(100).await.unwrap();
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.depth, stats.in_flight), (1, 0));
}

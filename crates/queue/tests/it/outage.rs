use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::future::BoxFuture;
use testkit::{Redis, eventually};
use throughline_queue::{Delivery, Epoch, Queue};
use tokio::sync::Semaphore;

use crate::support::{TIMEOUT, Worker, config, jobs, key, nothing, queue, run_redis, until_idle};

#[tokio::test]
async fn a_pause_of_a_second_does_not_stall_or_restart_an_idle_worker() {
    let redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    let worker = Worker::start(&queue, 4, nothing);
    queue.enqueue("before", &1).await.unwrap();
    worker.until_seen(1).await;

    let mut connection = queue.connection();
    let _: () = run_redis(&mut connection, &["CLIENT", "PAUSE", "1000", "ALL"]).await;
    // Waits for the end of the pause.
    queue.enqueue("after", &1).await.unwrap();
    worker.until_seen(2).await;
    assert!(worker.health.is_running());
    assert_eq!(worker.names().len(), 1);
    worker.stop().await;
}

#[tokio::test]
async fn a_pause_beyond_the_response_timeout_restarts_the_worker_and_it_goes_on() {
    let redis = Redis::start().await.unwrap();
    let config = config(&redis).response_timeout(Duration::from_millis(300));
    let queue = Queue::<u32>::connect(config).await.unwrap();
    let worker = Worker::start(&queue, 4, nothing);
    queue.enqueue("before", &1).await.unwrap();
    worker.until_seen(1).await;

    let mut connection = queue.connection();
    let _: () = run_redis(&mut connection, &["CLIENT", "PAUSE", "2000", "ALL"]).await;
    worker.until_running(false).await;
    worker.until_running(true).await;
    eventually("an enqueued job", TIMEOUT, async || {
        queue.enqueue("after", &1).await.ok()
    })
    .await;
    worker.until_seen(2).await;
    assert_eq!(worker.names().len(), 2, "a new name");
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_survives_a_restart_of_redis() {
    let mut redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    let worker = Worker::start(&queue, 4, nothing);
    worker.until_running(true).await;
    redis.stop().await.unwrap();
    worker.until_running(false).await;
    assert!(queue.ping().await.is_err());

    redis.restart().await.unwrap();
    worker.until_running(true).await;
    eventually("an enqueued job", TIMEOUT, async || {
        queue.enqueue("a", &1).await.ok()
    })
    .await;
    worker.until_seen(1).await;
    until_idle(&queue).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_loss_of_redis_data_is_detected_once_and_the_workers_go_on() {
    let redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    queue.begin_epoch().await.unwrap();
    assert_eq!(queue.epoch().await.unwrap(), Epoch::Present);
    let worker = Worker::start(&queue, 4, nothing);
    queue.enqueue("a", &1).await.unwrap();
    until_idle(&queue).await;

    let _: () = run_redis(&mut queue.connection(), &["FLUSHALL"]).await;
    assert_eq!(queue.epoch().await.unwrap(), Epoch::Missing { jobs_since: None });
    assert_eq!(queue.epoch().await.unwrap(), Epoch::Present, "reported once");
    queue.begin_epoch().await.unwrap();
    assert_eq!(queue.epoch().await.unwrap(), Epoch::Present);
    queue.enqueue("a", &1).await.unwrap();
    worker.until_seen(2).await;
    assert_eq!(worker.names().len(), 2, "its registration was lost too");
    until_idle(&queue).await;
    worker.stop().await;
}

/// Jobs that were enqueued after the loss are in Redis, so their caller need not enqueue them again.
#[tokio::test]
async fn a_loss_is_reported_with_the_time_of_the_first_job_after_it() {
    let queue = queue::<u32>().await;
    queue.begin_epoch().await.unwrap();
    queue.enqueue("before", &1).await.unwrap();
    let _: u32 = run_redis(&mut queue.connection(), &["DEL", &key(&queue, "epoch")]).await;

    queue.enqueue("after", &1).await.unwrap();
    let enqueued_at: u64 = run_redis(
        &mut queue.connection(),
        &["HGET", &key(&queue, "meta:after"), "enqueued_at"],
    )
    .await;
    queue.enqueue("later", &1).await.unwrap();
    let jobs_since = SystemTime::UNIX_EPOCH + Duration::from_millis(enqueued_at);
    assert_eq!(
        queue.epoch().await.unwrap(),
        Epoch::Missing {
            jobs_since: Some(jobs_since)
        }
    );

    queue.begin_epoch().await.unwrap();
    let _: u32 = run_redis(&mut queue.connection(), &["DEL", &key(&queue, "epoch")]).await;
    assert_eq!(queue.epoch().await.unwrap(), Epoch::Missing { jobs_since: None });
}

/// The process that detected the loss may die before it recovers: then the loss is reported to another one.
#[tokio::test]
async fn a_loss_without_recovery_is_reported_again() {
    let queue = queue::<u32>().await;
    assert_eq!(queue.epoch().await.unwrap(), Epoch::Missing { jobs_since: None });
    let (mut redis, reported) = (queue.connection(), key(&queue, "epoch:told"));
    let seconds: i64 = run_redis(&mut redis, &["TTL", &reported]).await;
    assert!((1..=10).contains(&seconds), "{seconds}");

    // Instead of waiting for the TTL.
    let _: u32 = run_redis(&mut redis, &["DEL", &reported]).await;
    assert_eq!(queue.epoch().await.unwrap(), Epoch::Missing { jobs_since: None });
    queue.begin_epoch().await.unwrap();
    assert_eq!(queue.epoch().await.unwrap(), Epoch::Present);
    assert_eq!(run_redis::<u32>(&mut redis, &["EXISTS", &reported]).await, 0);
}

#[tokio::test]
async fn jobs_that_run_while_their_worker_restarts_are_neither_repeated_nor_forgotten() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..4)).await.unwrap();
    let slots = Arc::new(Semaphore::new(0));
    let worker = Worker::start(&queue, 8, holding(&slots));
    worker.until_seen(4).await;
    let mut redis = queue.connection();

    // A job without payload ends the worker.
    let _: u32 = run_redis(&mut redis, &["RPUSH", &key(&queue, "active"), "lost"]).await;
    worker.until_running(false).await;
    worker.until_running(true).await;
    queue.enqueue("job-4", &4).await.unwrap();
    worker.until_seen(5).await;
    assert_eq!(worker.names().len(), 2);
    assert_eq!(queue.stats().await.unwrap().in_flight, 5);

    slots.add_permits(5);
    until_idle(&queue).await;
    let done: HashSet<String> = run_redis(&mut redis, &["SMEMBERS", &key(&queue, "done")]).await;
    assert_eq!(done, jobs(0..5).into_iter().map(|(id, _)| id).collect());
    assert_eq!(worker.stop().await.len(), 5);
}

#[tokio::test]
async fn a_living_worker_that_counts_as_dead_loses_its_jobs_to_others_and_goes_on() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &1).await.unwrap();
    let slots = Arc::new(Semaphore::new(0));
    let worker = Worker::start(&queue, 4, holding(&slots));
    worker.until_seen(1).await;

    let (mut redis, workers) = (queue.connection(), key(&queue, "workers"));
    let name = worker.names()[0].to_string();
    let _: u32 = run_redis(&mut redis, &["ZADD", &workers, "1000", &name]).await;
    queue.clean_up(1).await.unwrap();
    // The job is redelivered to the same process, under its new name.
    worker.until_seen(2).await;
    assert_eq!(worker.names().len(), 2);
    slots.add_permits(2);
    until_idle(&queue).await;
    let done: u32 = run_redis(&mut redis, &["SCARD", &key(&queue, "done")]).await;
    assert_eq!(done, 1);
    assert_eq!(worker.stop().await, ["a", "a"]);
}

/// A handler whose jobs each end with a permit.
fn holding(
    slots: &Arc<Semaphore>,
) -> impl Fn(Delivery<u32>) -> BoxFuture<'static, ()> + Clone + Send + 'static {
    let slots = Arc::clone(slots);
    move |_| {
        let slots = Arc::clone(&slots);
        Box::pin(async move { slots.acquire_owned().await.unwrap().forget() })
    }
}

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use testkit::{Redis, eventually};
use throughline_queue::{Delivery, Epoch, Queue, QueueConfig};
use tokio::sync::Semaphore;

use crate::support::{SOON, Worker, config, jobs, key, nothing, queue, redis_answers, until_idle};

#[tokio::test]
async fn a_pause_of_a_second_does_not_stall_or_restart_an_idle_worker() {
    let redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    let worker = Worker::start(&queue, 4, nothing);
    queue.enqueue("before", &1).await.unwrap();
    worker.until_seen(1).await;

    let mut connection = queue.connection();
    let _: () = redis_answers(&mut connection, &["CLIENT", "PAUSE", "1000", "ALL"]).await;
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
    let impatient = QueueConfig {
        response_timeout: Duration::from_millis(300),
        ..config(&redis)
    };
    let queue = Queue::<u32>::connect(impatient).await.unwrap();
    let worker = Worker::start(&queue, 4, nothing);
    queue.enqueue("before", &1).await.unwrap();
    worker.until_seen(1).await;

    let mut connection = queue.connection();
    let _: () = redis_answers(&mut connection, &["CLIENT", "PAUSE", "2000", "ALL"]).await;
    worker.until_running(false).await;
    worker.until_running(true).await;
    eventually("an enqueued job", SOON, async || {
        queue.enqueue("after", &1).await.ok()
    })
    .await;
    worker.until_seen(2).await;
    assert_eq!(worker.names().len(), 2, "a new name");
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_outlives_a_restart_of_redis() {
    let mut redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    let worker = Worker::start(&queue, 4, nothing);
    worker.until_running(true).await;
    redis.stop().await.unwrap();
    worker.until_running(false).await;
    assert!(queue.ping().await.is_err());

    redis.restart().await.unwrap();
    worker.until_running(true).await;
    eventually("an enqueued job", SOON, async || {
        queue.enqueue("a", &1).await.ok()
    })
    .await;
    worker.until_seen(1).await;
    until_idle(&queue).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_redis_that_lost_its_data_is_noticed_once_and_its_workers_go_on() {
    let redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    queue.begin_epoch().await.unwrap();
    assert_eq!(queue.epoch().await.unwrap(), Epoch::Present);
    let worker = Worker::start(&queue, 4, nothing);
    queue.enqueue("a", &1).await.unwrap();
    until_idle(&queue).await;

    let _: () = redis_answers(&mut queue.connection(), &["FLUSHALL"]).await;
    assert_eq!(queue.epoch().await.unwrap(), Epoch::Missing);
    assert_eq!(queue.epoch().await.unwrap(), Epoch::Present, "told once");
    queue.begin_epoch().await.unwrap();
    assert_eq!(queue.epoch().await.unwrap(), Epoch::Present);
    queue.enqueue("a", &1).await.unwrap();
    worker.until_seen(2).await;
    assert_eq!(worker.names().len(), 2, "its registration was lost too");
    until_idle(&queue).await;
    worker.stop().await;
}

/// Nothing is said to be whole again before it is: who was told of the loss may die, and another one is told.
#[tokio::test]
async fn a_loss_that_nobody_made_up_for_is_told_again() {
    let queue = queue::<u32>().await;
    assert_eq!(queue.epoch().await.unwrap(), Epoch::Missing);
    let (mut redis, told) = (queue.connection(), key(&queue, "epoch:told"));
    let seconds: i64 = redis_answers(&mut redis, &["TTL", &told]).await;
    assert!((1..=10).contains(&seconds), "{seconds}");

    // Rather than waiting for that.
    let _: u32 = redis_answers(&mut redis, &["DEL", &told]).await;
    assert_eq!(queue.epoch().await.unwrap(), Epoch::Missing);
    queue.begin_epoch().await.unwrap();
    assert_eq!(queue.epoch().await.unwrap(), Epoch::Present);
    assert_eq!(redis_answers::<u32>(&mut redis, &["EXISTS", &told]).await, 0);
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
    let _: u32 = redis_answers(&mut redis, &["RPUSH", &key(&queue, "active"), "lost"]).await;
    worker.until_running(false).await;
    worker.until_running(true).await;
    queue.enqueue("job-4", &4).await.unwrap();
    worker.until_seen(5).await;
    assert_eq!(worker.names().len(), 2);
    assert_eq!(queue.stats().await.unwrap().in_flight, 5);

    slots.add_permits(5);
    until_idle(&queue).await;
    let done: HashSet<String> = redis_answers(&mut redis, &["SMEMBERS", &key(&queue, "done")]).await;
    assert_eq!(done, jobs(0..5).into_iter().map(|(id, _)| id).collect());
    assert_eq!(worker.stop().await.len(), 5);
}

#[tokio::test]
async fn a_worker_wrongly_taken_for_dead_loses_its_jobs_to_others_and_goes_on() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &1).await.unwrap();
    let slots = Arc::new(Semaphore::new(0));
    let worker = Worker::start(&queue, 4, holding(&slots));
    worker.until_seen(1).await;

    let (mut redis, workers) = (queue.connection(), key(&queue, "workers"));
    let name = worker.names()[0].to_string();
    let _: u32 = redis_answers(&mut redis, &["ZADD", &workers, "1000", &name]).await;
    queue.clean_up(1).await.unwrap();
    // The same process gets it again, under its new name.
    worker.until_seen(2).await;
    assert_eq!(worker.names().len(), 2);
    slots.add_permits(2);
    until_idle(&queue).await;
    let done: u32 = redis_answers(&mut redis, &["SCARD", &key(&queue, "done")]).await;
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

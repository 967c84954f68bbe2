//! An enqueue wakes as many workers as it has jobs.

use std::sync::Arc;

use futures_util::StreamExt;
use testkit::{Redis, eventually};
use throughline_queue::Queue;
use tokio::sync::Semaphore;
use tokio::time::{Duration, Instant, timeout};

use crate::support::{TIMEOUT, Worker, calls, config, jobs, key, nothing, run_redis, until_idle};

async fn until_waiting(queue: &Queue<u32>, count: u32) {
    eventually("workers that wait", TIMEOUT, async || {
        let waiting: u32 = run_redis(&mut queue.connection(), &["SCARD", &key(queue, "idle")]).await;
        (waiting == count).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enqueue_wakes_as_many_workers_as_it_has_jobs() {
    let redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    let client = redis::Client::open(redis.url()).unwrap();
    let mut messages = client.get_async_pubsub().await.unwrap();
    messages.psubscribe(key(&queue, "wake*")).await.unwrap();
    let mut messages = messages.into_on_message();

    let workers: Vec<_> = (0..16).map(|_| Worker::start(&queue, 4, nothing)).collect();
    for count in [1, 1, 5] {
        until_waiting(&queue, 16).await;
        queue.enqueue_many(&jobs(0..count)).await.unwrap();
        for _ in 0..count {
            timeout(TIMEOUT, messages.next()).await.unwrap().unwrap();
        }
        until_idle(&queue).await;
    }
    let more = timeout(Duration::from_millis(100), messages.next()).await;
    assert!(more.is_err(), "no further message");
    for worker in workers {
        worker.stop().await;
    }
}

#[tokio::test]
async fn entries_of_workers_that_died_do_not_take_the_wake_ups_of_others() {
    let redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    let worker = Worker::start(&queue, 4, nothing);
    until_waiting(&queue, 1).await;
    let mut connection = queue.connection();
    let idle = key(&queue, "idle");
    let dead: Vec<String> = (0..10).map(|n| format!("dead-{n}")).collect();
    let mut command = vec!["SADD", &idle];
    command.extend(dead.iter().map(String::as_str));
    let _: u32 = run_redis(&mut connection, &command).await;
    for _ in 0..11 {
        queue.enqueue_many(&jobs(0..20)).await.unwrap();
        until_idle(&queue).await;
    }
    until_waiting(&queue, 1).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_whose_entry_was_lost_polls_and_enters_again() {
    let redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    let worker = Worker::start(&queue, 1, nothing);
    until_waiting(&queue, 1).await;
    let _: u32 = run_redis(&mut queue.connection(), &["DEL", &key(&queue, "idle")]).await;
    queue.enqueue("a", &1).await.unwrap();
    worker.until_seen(1).await;
    until_waiting(&queue, 1).await;
    worker.stop().await;
}

/// apalis fetches each time that it is polled. `LRANGE` and `LTRIM` are called by its fetch alone; the second
/// only if it found jobs.
#[tokio::test]
async fn a_worker_fetches_once_for_a_job_and_at_its_ticks() {
    const JOBS: usize = 30;
    let redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    let worker = Worker::start(&queue, 4, nothing);
    until_waiting(&queue, 1).await;
    let _: () = run_redis(&mut queue.connection(), &["CONFIG", "RESETSTAT"]).await;
    let start = Instant::now();
    for (n, (id, job)) in jobs(0..30).into_iter().enumerate() {
        queue.enqueue(&id, &job).await.unwrap();
        eventually("an acknowledgement", TIMEOUT, async || {
            let done: usize = run_redis(&mut queue.connection(), &["SCARD", &key(&queue, "done")]).await;
            (done == n + 1).then_some(())
        })
        .await;
        until_waiting(&queue, 1).await;
    }
    let ticks = usize::try_from(start.elapsed().as_secs()).unwrap() + 1;
    let (fetches, found) = (calls(&queue, "lrange").await, calls(&queue, "ltrim").await);
    assert_eq!(found, JOBS);
    assert!(fetches <= JOBS + ticks, "{fetches} fetches, {ticks} ticks");
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_without_a_free_slot_is_not_woken() {
    let redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    let permits = Arc::new(Semaphore::new(0));
    let worker = Worker::start(&queue, 2, {
        let permits = Arc::clone(&permits);
        move |_| {
            let permits = Arc::clone(&permits);
            async move { permits.acquire().await.unwrap().forget() }
        }
    });
    until_waiting(&queue, 1).await;
    queue.enqueue_many(&jobs(0..4)).await.unwrap();
    worker.until_seen(2).await;
    until_waiting(&queue, 0).await;
    permits.add_permits(4);
    until_idle(&queue).await;
    until_waiting(&queue, 1).await;
    worker.stop().await;
}

use std::collections::HashSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use testkit::Redis;
use throughline_queue::{Delivery, Queue, WorkOptions};
use tokio::sync::{Notify, Semaphore};

use crate::support::{Worker, config, jobs, key, nothing, queue, run_redis, until_idle};

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_under_load_leaves_nothing_unacknowledged() {
    for concurrency in [1, 2, 4, 16, 64] {
        let queue = queue::<u32>().await;
        queue.enqueue_many(&jobs(0..2000)).await.unwrap();

        let first = Worker::start(&queue, concurrency, async |_| {
            tokio::task::yield_now().await;
        });
        first.until_seen(300).await;
        let seen = first.stop().await;

        let stats = queue.stats().await.unwrap();
        assert_eq!(stats.in_flight, 0, "concurrency {concurrency}");
        assert_eq!(stats.depth, 2000 - seen.len() as u64, "concurrency {concurrency}");
        let mut redis = queue.connection();
        let done: usize = run_redis(&mut redis, &["SCARD", &key(&queue, "done")]).await;
        assert_eq!(done, seen.len(), "concurrency {concurrency}");

        let second = Worker::start(&queue, concurrency, nothing);
        until_idle(&queue).await;
        let rest = second.stop().await;
        let all: HashSet<_> = seen.iter().chain(&rest).collect();
        assert_eq!((all.len(), seen.len() + rest.len()), (2000, 2000));
    }
}

#[tokio::test]
async fn a_running_job_is_finished_and_acknowledged() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &1).await.unwrap();
    let (slots, finished) = (Arc::new(Semaphore::new(0)), Arc::new(Notify::new()));
    let worker = Worker::start(&queue, 4, {
        let (slots, finished) = (Arc::clone(&slots), Arc::clone(&finished));
        move |_| {
            let (slots, finished) = (Arc::clone(&slots), Arc::clone(&finished));
            async move {
                let _ = slots.acquire().await.unwrap();
                finished.notify_one();
            }
        }
    });
    worker.until_seen(1).await;
    worker.request_shutdown();
    worker.until_running(false).await;
    slots.add_permits(1);
    worker.stop().await;
    finished.notified().await;
    let mut redis = queue.connection();
    assert_eq!(
        run_redis::<u32>(&mut redis, &["SCARD", &key(&queue, "done")]).await,
        1
    );
    assert_eq!(queue.stats().await.unwrap().in_flight, 0);
}

#[tokio::test]
async fn a_job_that_exceeds_the_shutdown_timeout_is_abandoned_and_redelivered_at_once() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..8)).await.unwrap();
    let options = WorkOptions {
        concurrency: 4,
        shutdown_timeout: Duration::from_millis(100),
        ..WorkOptions::default()
    };
    let dropped = Arc::new(());
    let first = Worker::start_with(&queue, options, {
        let dropped = Arc::clone(&dropped);
        move |delivery: Delivery<u32>| {
            let dropped = Arc::clone(&dropped);
            async move {
                // Two of four finish; the others never do.
                if delivery.job >= 2 {
                    pending::<()>().await;
                }
                drop(dropped);
            }
        }
    });
    first.until_seen(6).await;
    assert_eq!(first.stop().await.len(), 6);
    assert_eq!(Arc::strong_count(&dropped), 1, "an abandoned job still runs");
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.depth, stats.in_flight), (6, 0));

    let second = Worker::start(&queue, 4, nothing);
    until_idle(&queue).await;
    let seen: HashSet<_> = second.stop().await.into_iter().collect();
    assert_eq!(seen, jobs(2..8).into_iter().map(|(id, _)| id).collect());
}

#[tokio::test]
async fn dropping_the_workers_future_stops_its_jobs() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &1).await.unwrap();
    let held = Arc::new(());
    let worker = Worker::start(&queue, 4, {
        let held = Arc::clone(&held);
        move |_| {
            let held = Arc::clone(&held);
            async move {
                pending::<()>().await;
                drop(held);
            }
        }
    });
    worker.until_seen(1).await;
    let health = worker.health.clone();
    worker.kill().await;
    assert!(!health.is_running());
    let dropped = async || (Arc::strong_count(&held) == 1).then_some(());
    testkit::eventually("the end of the job", crate::support::TIMEOUT, dropped).await;
}

#[tokio::test]
async fn a_worker_leaves_no_keys_and_can_start_again_under_the_same_prefix() {
    let redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    let mut connection = queue.connection();
    for round in 0..3 {
        let worker = Worker::start(&queue, 4, nothing);
        queue.enqueue("a", &round).await.unwrap();
        until_idle(&queue).await;
        worker.stop().await;
        let keys: HashSet<String> = run_redis(&mut connection, &["KEYS", "*"]).await;
        let expected = ["data", "meta:a", "done", "epoch:jobs_since"].map(|part| key(&queue, part));
        let global = "core:apalis:queues:list".to_owned();
        assert_eq!(keys, expected.into_iter().chain([global]).collect());
    }
}

#[tokio::test]
async fn a_worker_that_never_reached_redis_stops() {
    let mut redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect_lazy(config(&redis)).unwrap();
    redis.stop().await.unwrap();
    let worker = Worker::start(&queue, 4, nothing);
    assert!(!worker.health.is_running());
    worker.stop().await;
}

#[tokio::test]
async fn shutdown_while_redis_is_down_finishes_the_running_job() {
    let mut redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    queue.enqueue("a", &1).await.unwrap();
    let slots = Arc::new(Semaphore::new(0));
    let ended = Arc::new(Notify::new());
    let worker = Worker::start(&queue, 4, {
        let (slots, ended) = (Arc::clone(&slots), Arc::clone(&ended));
        move |_| {
            let (slots, ended) = (Arc::clone(&slots), Arc::clone(&ended));
            async move {
                let _ = slots.acquire().await.unwrap();
                ended.notify_one();
            }
        }
    });
    worker.until_seen(1).await;
    redis.stop().await.unwrap();
    worker.until_running(false).await;
    worker.request_shutdown();
    slots.add_permits(1);
    worker.stop().await;
    ended.notified().await;
}

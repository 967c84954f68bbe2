//! The defaults of plain apalis-redis 1.0.0 that `queue` overrides or replaces. As in `apalis_traps.rs`: if a
//! test fails after an upgrade, a workaround can be removed. That apalis does not do something is asserted
//! after another queue of the same Redis has delivered many jobs, instead of after a sleep.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use apalis::layers::WorkerBuilderExt;
use apalis::prelude::{BackendExt, BoxDynError, WorkerBuilder, WorkerContext};
use apalis_core::backend::ext::poll_strategy::{PollSnapshot, PollStrategy};
use apalis_core::backend::{ListQueues, Metrics, Vacuum};
use apalis_redis::{Config, RedisStorage};
use testkit::{Redis, eventually};
use throughline_queue::{Connection, Queue};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::support::{TIMEOUT, Worker, calls, config, jobs, key, nothing, queue, run_redis, until_idle};

const PLAIN: &str = "plain";

fn storage(queue: &Queue<u32>, config: Config) -> RedisStorage<u32, Connection> {
    RedisStorage::new(queue.connection()).with_config(config.queue(queue.name()))
}

/// Delivers fifty jobs of another queue; each one wakes its worker.
async fn deliver_jobs_of_another_queue() {
    let other = queue::<u32>().await;
    let worker = Worker::start(&other, 1, nothing);
    for (n, (id, job)) in jobs(0..50).into_iter().enumerate() {
        other.enqueue(&id, &job).await.unwrap();
        worker.until_seen(n + 1).await;
    }
    worker.stop().await;
}

async fn count(queue: &Queue<u32>, command: &str, part: &str) -> u32 {
    run_redis(&mut queue.connection(), &[command, &key(queue, part)]).await
}

#[tokio::test]
async fn without_a_poll_strategy_an_idle_worker_does_not_see_a_job_before_its_next_heartbeat() {
    let queue = queue::<u32>().await;
    let config = Config::default().heartbeat_interval(Duration::from_secs(3600));
    let worker = WorkerBuilder::new(PLAIN)
        .backend(storage(&queue, config))
        .build(async |_: u32| {});
    let worker = tokio::spawn(worker.run());
    eventually("a registered worker", TIMEOUT, async || {
        (count(&queue, "ZCARD", "workers").await == 1).then_some(())
    })
    .await;
    // The first jobs may arrive while it still polls, as it does after its start.
    for (id, job) in jobs(0..100) {
        queue.enqueue(&id, &job).await.unwrap();
        deliver_jobs_of_another_queue().await;
        if queue.stats().await.unwrap().depth > 0 {
            break;
        }
    }
    assert_eq!(queue.stats().await.unwrap().depth, 1);
    worker.abort();

    // The worker of this crate is woken.
    let queue_worker = Worker::start(&queue, 1, nothing);
    until_idle(&queue).await;
    queue_worker.stop().await;
}

struct Never;

impl PollStrategy for Never {
    fn poll_drive(&mut self, _: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        Poll::Pending
    }
}

#[tokio::test]
async fn a_worker_fetches_each_time_that_it_is_polled_whatever_its_strategy_returns() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &1).await.unwrap();
    let worker = WorkerBuilder::new(PLAIN)
        .backend(storage(&queue, Config::default()).poll_with_strategy(Never))
        .build(async |_: u32, worker: WorkerContext| worker.stop().unwrap());
    timeout(TIMEOUT, worker.run()).await.unwrap().unwrap();
    assert_eq!(count(&queue, "SCARD", "done").await, 1);
}

#[tokio::test]
async fn a_lock_searches_the_whole_backlog_for_each_job() {
    let redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    queue.enqueue_many(&jobs(0..100)).await.unwrap();
    let seen = Arc::new(AtomicUsize::new(0));
    let worker = WorkerBuilder::new(PLAIN)
        .backend(storage(&queue, Config::default()))
        .build({
            let seen = Arc::clone(&seen);
            move |_: u32, worker: WorkerContext| {
                if seen.fetch_add(1, Ordering::SeqCst) == 49 {
                    worker.stop().unwrap();
                }
                async {}
            }
        });
    timeout(TIMEOUT, worker.run()).await.unwrap().unwrap();
    let seen = seen.load(Ordering::SeqCst);
    assert!(calls(&queue, "lrem").await >= seen, "{seen} jobs");

    let _: () = run_redis(&mut queue.connection(), &["CONFIG", "RESETSTAT"]).await;
    queue.enqueue_many(&jobs(100..200)).await.unwrap();
    let queue_worker = Worker::start(&queue, 4, nothing);
    until_idle(&queue).await;
    queue_worker.stop().await;
    assert_eq!(calls(&queue, "lrem").await, 0);
}

#[tokio::test]
async fn without_results_a_finished_job_is_never_acknowledged() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &1).await.unwrap();
    let worker = WorkerBuilder::new(PLAIN)
        .backend(storage(&queue, Config::default().persist_results(false)))
        .build(async |_: u32, worker: WorkerContext| worker.stop().unwrap());
    timeout(TIMEOUT, worker.run()).await.unwrap().unwrap();
    assert_eq!(count(&queue, "SCARD", "done").await, 0);
    let held = format!("inflight:{PLAIN}");
    assert_eq!(count(&queue, "SCARD", &held).await, 1);
}

/// A worker that fails its one job and ends.
async fn fail_one(queue: &Queue<u32>) {
    queue.enqueue("a", &1).await.unwrap();
    let worker = WorkerBuilder::new(PLAIN)
        .backend(storage(queue, Config::default()))
        .build(async |_: u32, worker: WorkerContext| {
            worker.stop().unwrap();
            Err::<(), BoxDynError>("this failure is part of the test".into())
        });
    let _ = timeout(TIMEOUT, worker.run()).await.unwrap();
}

#[tokio::test]
async fn a_job_with_one_attempt_is_retried_nevertheless() {
    let queue = queue::<u32>().await;
    fail_one(&queue).await;
    let meta = key(&queue, "meta:a");
    let max_attempts: u32 = run_redis(&mut queue.connection(), &["HGET", &meta, "max_attempts"]).await;
    assert_eq!(max_attempts, 1);
    assert_eq!(count(&queue, "ZCARD", "scheduled").await, 1);
    assert_eq!(count(&queue, "SCARD", "dead").await, 0);
}

#[tokio::test]
async fn vacuum_deletes_a_job_that_waits_for_its_retry() {
    let queue = queue::<u32>().await;
    fail_one(&queue).await;
    assert_eq!(storage(&queue, Config::default()).vacuum().await.unwrap(), 1);
    assert_eq!(count(&queue, "ZCARD", "scheduled").await, 1);
    assert_eq!(count(&queue, "HLEN", "data").await, 0);
}

#[tokio::test]
async fn a_caught_panic_is_not_retried_but_dead() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &1).await.unwrap();
    let worker = WorkerBuilder::new(PLAIN)
        .backend(storage(&queue, Config::default()))
        .catch_panic()
        .build(async |job: u32, worker: WorkerContext| {
            worker.stop().unwrap();
            assert_eq!(job, 0, "this panic is part of the test");
        });
    let _ = timeout(TIMEOUT, worker.run()).await.unwrap();
    assert_eq!(count(&queue, "SCARD", "dead").await, 1);
    assert_eq!(count(&queue, "ZCARD", "scheduled").await, 0);
}

#[tokio::test]
async fn while_fetched_jobs_wait_for_a_slot_nothing_is_acknowledged() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..10)).await.unwrap();
    let started = Arc::new(AtomicUsize::new(0));
    let worker = WorkerBuilder::new(PLAIN)
        .backend(storage(&queue, Config::default().batch_size(10)))
        .concurrency(1)
        .build({
            let started = Arc::clone(&started);
            move |_: u32| {
                let first = started.fetch_add(1, Ordering::SeqCst) == 0;
                // All but the first never finish.
                async move {
                    if !first {
                        pending::<()>().await;
                    }
                }
            }
        });
    let worker = tokio::spawn(worker.run());
    eventually("the second job", TIMEOUT, async || {
        (started.load(Ordering::SeqCst) == 2).then_some(())
    })
    .await;
    deliver_jobs_of_another_queue().await;
    assert_eq!(count(&queue, "SCARD", "done").await, 0);
    worker.abort();
}

const RUNNING: usize = 32;

/// A worker that is stopped while `RUNNING` jobs run, and then lets all of them finish.
async fn stop_while_jobs_run(queue: &Queue<u32>, batch: usize) -> JoinHandle<bool> {
    queue.enqueue_many(&jobs(0..32)).await.unwrap();
    let started = Arc::new(AtomicUsize::new(0));
    let finish = Arc::new(Semaphore::new(0));
    let config = Config::default().batch_size(batch).lock_tasks(false);
    let worker = WorkerBuilder::new(PLAIN)
        .backend(storage(queue, config))
        .concurrency(RUNNING)
        .build({
            let (started, finish) = (Arc::clone(&started), Arc::clone(&finish));
            move |_: u32, worker: WorkerContext| {
                if started.fetch_add(1, Ordering::SeqCst) + 1 == RUNNING {
                    worker.stop().unwrap();
                }
                let finish = Arc::clone(&finish);
                async move {
                    let _finished = finish.acquire().await;
                }
            }
        });
    let worker = tokio::spawn(async { worker.run().await.is_ok() });
    eventually("all jobs to run", TIMEOUT, async || {
        (started.load(Ordering::SeqCst) == RUNNING).then_some(())
    })
    .await;
    finish.add_permits(RUNNING);
    worker
}

#[tokio::test]
async fn shutdown_hangs_with_more_jobs_running_than_four_batches() {
    let queue = queue::<u32>().await;
    let worker = stop_while_jobs_run(&queue, 1).await;
    deliver_jobs_of_another_queue().await;
    assert!(!worker.is_finished(), "it ended");
    assert!((count(&queue, "SCARD", "done").await as usize) < RUNNING);
    worker.abort();
}

#[tokio::test]
async fn with_four_batches_running_shutdown_ends() {
    let queue = queue::<u32>().await;
    let worker = stop_while_jobs_run(&queue, RUNNING / 4).await;
    assert!(timeout(TIMEOUT, worker).await.unwrap().unwrap());
    assert_eq!(count(&queue, "SCARD", "done").await as usize, RUNNING);
}

/// The fetch writes before it frees.
#[tokio::test]
async fn a_queue_that_filled_its_redis_cannot_be_drained() {
    const HEADROOM: usize = 2 * 1024 * 1024;
    let redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    let mut connection = queue.connection();
    let info: String = run_redis(&mut connection, &["INFO", "memory"]).await;
    let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
    let maxmemory: usize = used.unwrap().trim().parse::<usize>().unwrap() + HEADROOM;
    let _: () = run_redis(
        &mut connection,
        &["CONFIG", "SET", "maxmemory", &maxmemory.to_string()],
    )
    .await;
    let mut waiting = 0;
    while queue.enqueue(&format!("job-{waiting}"), &1).await.is_ok() {
        waiting += 1;
    }
    assert!(waiting > 100, "{waiting}");

    let worker = WorkerBuilder::new(PLAIN)
        .backend(storage(&queue, Config::default()))
        .build(async |_: u32| {});
    let error = timeout(TIMEOUT, worker.run()).await.unwrap().unwrap_err();
    assert!(format!("{error:?}").contains("OOM"), "{error:?}");
    assert_eq!(queue.stats().await.unwrap().depth, waiting);
}

#[tokio::test]
async fn a_stall_of_redis_ends_the_run() {
    let redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    // apalis' own connection.
    let connection = apalis_redis::connect(redis.url()).await.unwrap();
    let config = Config::default()
        .queue(queue.name())
        .heartbeat_interval(Duration::from_millis(10));
    let worker = WorkerBuilder::new(PLAIN)
        .backend(RedisStorage::new(connection).with_config(config))
        .build(async |_: u32| {});
    let worker = tokio::spawn(worker.run());
    eventually("a registered worker", TIMEOUT, async || {
        (count(&queue, "ZCARD", "workers").await == 1).then_some(())
    })
    .await;
    redis.pause(Duration::from_secs(2)).await.unwrap();
    let ended = timeout(TIMEOUT, worker).await.unwrap().unwrap();
    assert!(ended.is_err());
}

#[tokio::test]
async fn the_calls_of_apalis_board_fail_where_jobs_are_done() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &1).await.unwrap();
    let queue_worker = Worker::start(&queue, 1, nothing);
    until_idle(&queue).await;
    queue_worker.stop().await;

    let storage = storage(&queue, Config::default());
    let error = storage.fetch_by_queue().await.unwrap_err();
    assert!(format!("{error:?}").contains("WRONGTYPE"), "{error:?}");
    assert!(storage.list_queues().await.is_err());
    assert_eq!(queue.stats().await.unwrap().depth, 0);
}

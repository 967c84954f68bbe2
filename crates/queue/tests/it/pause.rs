//! A paused worker fetches nothing, finishes what it has, and goes on where it was.

use std::time::Duration;

use throughline_queue::{Pause, WorkOptions};
use tokio::sync::Semaphore;

use crate::support::{Worker, jobs, nothing, queue, until_idle};

static RELEASED: Semaphore = Semaphore::const_new(0);

#[tokio::test]
async fn a_paused_worker_finishes_its_jobs_and_leaves_the_others_in_the_queue() {
    let (queue, pause) = (queue::<u32>().await, Pause::default());
    let options = WorkOptions {
        concurrency: 2,
        pause: pause.clone(),
        ..WorkOptions::default()
    };
    let worker = Worker::start_with(&queue, options, |_| async {
        RELEASED.acquire().await.unwrap().forget();
    });
    queue.enqueue_many(&jobs(0..2)).await.unwrap();
    worker.until_seen(2).await;
    assert_eq!((worker.health.busy(), worker.health.processed()), (2, 0));
    pause.set(true);
    // The worker is woken.
    queue.enqueue_many(&jobs(2..12)).await.unwrap();
    RELEASED.add_permits(12);
    testkit::eventually("the end of its jobs", Duration::from_secs(60), async || {
        (worker.health.processed() == 2).then_some(())
    })
    .await;
    // It holds a batch, which is one job here; another one may have been fetched before.
    let left = queue.stats().await.unwrap().depth;
    assert!(left >= 8, "{left}");
    assert_eq!(worker.seen().len(), 2);
    pause.set(false);
    until_idle(&queue).await;
    assert_eq!(worker.health.processed(), 12);
    worker.stop().await;
}

#[tokio::test]
async fn a_paused_worker_shuts_down_and_loses_no_job() {
    let (queue, pause) = (queue::<u32>().await, Pause::default());
    let options = WorkOptions {
        pause: pause.clone(),
        ..WorkOptions::default()
    };
    let worker = Worker::start_with(&queue, options, nothing);
    worker.until_running(true).await;
    pause.set(true);
    queue.enqueue_many(&jobs(0..100)).await.unwrap();
    let seen = worker.stop().await.len();
    let left = queue.stats().await.unwrap();
    assert_eq!(
        (left.depth, left.in_flight),
        (100 - u64::try_from(seen).unwrap(), 0)
    );
}

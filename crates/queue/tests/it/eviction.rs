//! Redis must not evict. If it does, jobs may be lost, but the queue must not stop.

use throughline_queue::Enqueued;

use crate::support::{Worker, jobs, key, nothing, queue, run_redis, until_idle};

#[tokio::test]
async fn jobs_that_lost_their_payload_do_not_stop_the_others() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..100)).await.unwrap();
    let mut redis = queue.connection();
    let data = key(&queue, "data");
    let _: u32 = run_redis(&mut redis, &["HDEL", &data, "job-0", "job-50", "job-99"]).await;

    let worker = Worker::start(&queue, 4, nothing);
    until_idle(&queue).await;
    assert_eq!(queue.enqueue("job-50", &50).await.unwrap(), Enqueued::New);
    until_idle(&queue).await;
    let seen = worker.stop().await;
    assert_eq!(seen.len(), 98);
    assert_eq!(seen[97], "job-50");
}

#[tokio::test]
async fn jobs_that_lost_their_meta_are_delivered() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..20)).await.unwrap();
    let mut redis = queue.connection();
    let _: u32 = run_redis(&mut redis, &["DEL", &key(&queue, "meta:job-0")]).await;
    let _: u32 = run_redis(&mut redis, &["HDEL", &key(&queue, "meta:job-9"), "status"]).await;
    let worker = Worker::start(&queue, 4, nothing);
    until_idle(&queue).await;
    assert_eq!(worker.stop().await.len(), 20);
}

#[tokio::test]
async fn a_queue_that_lost_all_payloads_is_usable_at_once() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..5000)).await.unwrap();
    let _: u32 = run_redis(&mut queue.connection(), &["DEL", &key(&queue, "data")]).await;
    let worker = Worker::start(&queue, 4, nothing);
    until_idle(&queue).await;
    queue.enqueue_many(&jobs(0..10)).await.unwrap();
    until_idle(&queue).await;
    assert_eq!(worker.stop().await.len(), 10);
}

#[tokio::test]
async fn enqueueing_a_waiting_job_again_repairs_it_and_adds_no_second() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..3)).await.unwrap();
    let mut redis = queue.connection();
    let _: u32 = run_redis(&mut redis, &["HDEL", &key(&queue, "data"), "job-0"]).await;
    let _: u32 = run_redis(&mut redis, &["DEL", &key(&queue, "meta:job-1")]).await;
    let outcome = queue.enqueue_many(&jobs(0..3)).await.unwrap();
    assert_eq!(outcome, [Enqueued::AlreadyQueued; 3]);

    let worker = Worker::start(&queue, 1, nothing);
    until_idle(&queue).await;
    assert_eq!(worker.stop().await, ["job-0", "job-1", "job-2"]);
}

#[tokio::test]
async fn a_finished_job_that_lost_its_meta_can_be_enqueued_again() {
    let queue = queue::<u32>().await;
    let worker = Worker::start(&queue, 1, nothing);
    queue.enqueue("a", &1).await.unwrap();
    until_idle(&queue).await;
    let _: u32 = run_redis(&mut queue.connection(), &["DEL", &key(&queue, "meta:a")]).await;
    assert_eq!(queue.enqueue("a", &1).await.unwrap(), Enqueued::New);
    until_idle(&queue).await;
    assert_eq!(worker.stop().await, ["a", "a"]);
}

/// apalis' fetch moves all of them at once, which fails permanently above about 8,000.
#[tokio::test]
async fn entries_that_apalis_would_move_into_the_queue_do_not_stop_it() {
    let queue = queue::<u32>().await;
    let mut scheduled = redis::cmd("ZADD");
    scheduled.arg(key(&queue, "scheduled"));
    for n in 0..10_000 {
        scheduled.arg(1).arg(format!("phantom-{n}"));
    }
    scheduled.exec_async(&mut queue.connection()).await.unwrap();
    let worker = Worker::start(&queue, 4, nothing);
    queue.enqueue("a", &1).await.unwrap();
    worker.until_seen(1).await;
    assert_eq!(worker.stop().await, ["a"]);
}

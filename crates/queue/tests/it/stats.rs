use std::future::pending;
use std::time::Duration;

use crate::support::{Worker, jobs, key, nothing, queue, run_redis, until_idle};

#[tokio::test]
async fn an_empty_queue_has_no_oldest_job() {
    let stats = queue::<u32>().await.stats().await.unwrap();
    assert_eq!([stats.depth, stats.in_flight, stats.workers], [0, 0, 0]);
    assert_eq!(stats.oldest_age, None);
}

#[tokio::test]
async fn waiting_and_running_jobs_are_counted_separately() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..10)).await.unwrap();
    assert_eq!(queue.stats().await.unwrap().depth, 10);
    // With a batch of one nothing waits inside the worker.
    let worker = Worker::start(&queue, 2, |_| pending());
    worker.until_seen(2).await;
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.depth, stats.in_flight, stats.workers), (8, 2, 1));
    worker.kill().await;
}

#[tokio::test]
async fn finished_jobs_that_were_not_cleaned_up_yet_are_not_in_flight() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..10)).await.unwrap();
    let worker = Worker::start(&queue, 4, nothing);
    until_idle(&queue).await;
    worker.stop().await;
    queue.enqueue_many(&jobs(10..13)).await.unwrap();
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.depth, stats.in_flight), (3, 0));
}

#[tokio::test]
async fn the_oldest_job_is_found_at_either_end() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..3)).await.unwrap();
    let mut redis = queue.connection();
    // The last job was put back from a dead worker.
    let meta = key(&queue, "meta:job-2");
    let _: u32 = run_redis(&mut redis, &["HSET", &meta, "enqueued_at", "1000000"]).await;
    let age = queue.stats().await.unwrap().oldest_age.unwrap();
    assert!(age > Duration::from_secs(1_000_000_000), "{age:?}");
}

#[tokio::test]
async fn a_queue_knows_its_name_and_server() {
    let redis = testkit::redis().await.unwrap();
    let queue = queue::<u32>().await;
    let (host, port) = queue.server();
    assert!(
        redis.url().ends_with(&format!("{host}:{port}")),
        "{} {host}:{port}",
        redis.url()
    );
    assert!(!queue.name().is_empty());
}

use std::collections::HashSet;
use std::time::Duration;

use testkit::Redis;
use throughline_queue::{Enqueued, Queue, QueueConfig, QueueError};
use tokio::time::timeout;

use crate::support::{TIMEOUT, Worker, config, jobs, key, nothing, queue, run_redis, until_idle};

#[tokio::test]
async fn a_job_enqueued_twice_is_delivered_once() {
    let queue = queue::<u32>().await;
    assert_eq!(queue.enqueue("a", &1).await.unwrap(), Enqueued::New);
    assert_eq!(queue.enqueue("a", &1).await.unwrap(), Enqueued::AlreadyQueued);
    assert_eq!(queue.stats().await.unwrap().depth, 1);

    let worker = Worker::start(&queue, 4, nothing);
    until_idle(&queue).await;
    assert_eq!(worker.stop().await, ["a"]);
}

#[tokio::test]
async fn a_job_in_flight_is_not_enqueued_again() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &1).await.unwrap();
    let (started, mut is_started) = tokio::sync::mpsc::channel(1);
    let (finish, finished) = tokio::sync::watch::channel(false);
    let worker = Worker::start(&queue, 4, move |_| {
        let (started, mut finished) = (started.clone(), finished.clone());
        async move {
            started.send(()).await.unwrap();
            finished.wait_for(|finished| *finished).await.unwrap();
        }
    });
    is_started.recv().await.unwrap();
    assert_eq!(queue.enqueue("a", &1).await.unwrap(), Enqueued::AlreadyQueued);

    finish.send_replace(true);
    until_idle(&queue).await;
    assert_eq!(worker.stop().await, ["a"]);
}

#[tokio::test]
async fn a_finished_job_can_be_enqueued_again() {
    let queue = queue::<u32>().await;
    let worker = Worker::start(&queue, 4, nothing);
    for _ in 0..3 {
        assert_eq!(queue.enqueue("a", &1).await.unwrap(), Enqueued::New);
        until_idle(&queue).await;
    }
    assert_eq!(worker.stop().await, ["a", "a", "a"]);

    // The job is in one place: first finished, then waiting.
    let mut redis = queue.connection();
    assert_eq!(
        run_redis::<u32>(&mut redis, &["SCARD", &key(&queue, "done")]).await,
        1
    );
    queue.enqueue("a", &1).await.unwrap();
    assert_eq!(
        run_redis::<u32>(&mut redis, &["SCARD", &key(&queue, "done")]).await,
        0
    );
}

#[tokio::test]
async fn the_results_of_many_jobs_are_in_order() {
    let queue = queue::<u32>().await;
    queue.enqueue("job-700", &700).await.unwrap();
    let jobs = jobs(0..1200);
    let outcome = queue.enqueue_many(&jobs).await.unwrap();
    assert_eq!(outcome.len(), 1200);
    for (n, outcome) in outcome.into_iter().enumerate() {
        let expected = if n == 700 {
            Enqueued::AlreadyQueued
        } else {
            Enqueued::New
        };
        assert_eq!(outcome, expected, "job {n}");
    }

    let worker = Worker::start(&queue, 16, nothing);
    until_idle(&queue).await;
    let seen = worker.stop().await;
    assert_eq!(seen.len(), 1200);
    assert_eq!(seen.into_iter().collect::<HashSet<_>>().len(), 1200);
}

#[tokio::test]
async fn beyond_the_limit_a_new_job_is_not_enqueued_and_nothing_is_lost() {
    let queue = queue::<u32>().await;
    let within = async |id: &str, job| {
        let outcome = queue.enqueue_within(2, &[(id.to_owned(), job)]).await;
        outcome.unwrap()
    };
    assert_eq!(within("a", 1).await, [Enqueued::New]);
    assert_eq!(queue.enqueue("b", &2).await.unwrap(), Enqueued::New);
    assert_eq!(within("c", 3).await, [Enqueued::Full]);
    // A job that already waits needs no room, and a call without a limit enqueues.
    assert_eq!(within("a", 1).await, [Enqueued::AlreadyQueued]);
    assert_eq!(queue.enqueue("d", &4).await.unwrap(), Enqueued::New);

    let worker = Worker::start(&queue, 1, nothing);
    until_idle(&queue).await;
    let jobs = ["c", "e", "f"].map(|id| (id.to_owned(), 3));
    let outcome = queue.enqueue_within(2, &jobs).await.unwrap();
    assert_eq!(outcome, [Enqueued::New, Enqueued::New, Enqueued::Full]);
    until_idle(&queue).await;
    assert_eq!(worker.stop().await, ["a", "b", "d", "c", "e"]);
}

#[tokio::test]
async fn queued_jobs_are_found_without_enqueueing() {
    let queue = queue::<u32>().await;
    let worker = Worker::start(&queue, 1, nothing);
    queue.enqueue("finished", &1).await.unwrap();
    until_idle(&queue).await;
    worker.stop().await;
    let stuck = Worker::start(&queue, 1, |_| std::future::pending());
    queue.enqueue("in flight", &2).await.unwrap();
    stuck.until_seen(1).await;
    stuck.kill().await;
    queue.enqueue("waiting", &3).await.unwrap();
    queue.enqueue("without payload", &4).await.unwrap();
    queue.enqueue("not in the list", &5).await.unwrap();
    let (data, active) = (key(&queue, "data"), key(&queue, "active"));
    let mut redis = queue.connection();
    let _: u32 = run_redis(&mut redis, &["HDEL", &data, "without payload"]).await;
    let _: u32 = run_redis(&mut redis, &["LREM", &active, "1", "not in the list"]).await;

    let ids = [
        "finished",
        "in flight",
        "waiting",
        "without payload",
        "not in the list",
        "never seen",
    ]
    .map(str::to_owned);
    let queued = queue.queued(&ids).await.unwrap();
    assert_eq!(queued, [false, true, true, false, false, false]);
    assert!(queue.queued(&[]).await.unwrap().is_empty());

    // Long after it was enqueued, a worker's set is no proof: the entry may be wrong, or the worker may hang.
    let meta = key(&queue, "meta:in flight");
    let _: u32 = run_redis(&mut redis, &["HSET", &meta, "enqueued_at", "1000"]).await;
    assert_eq!(queue.queued(&ids[1..2]).await.unwrap(), [false]);
}

#[tokio::test]
async fn a_job_in_the_set_of_a_worker_that_is_not_registered_is_lost() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &1).await.unwrap();
    let stuck = Worker::start(&queue, 1, |_| std::future::pending());
    stuck.until_seen(1).await;
    stuck.kill().await;
    let ids = ["a".to_owned()];
    assert_eq!(queue.queued(&ids).await.unwrap(), [true]);
    let _: u32 = run_redis(&mut queue.connection(), &["DEL", &key(&queue, "workers")]).await;
    assert_eq!(queue.queued(&ids).await.unwrap(), [false]);
}

#[tokio::test]
async fn a_job_whose_id_was_lost_from_the_list_is_enqueued_again_once() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..20)).await.unwrap();
    let mut redis = queue.connection();
    let _: u32 = run_redis(&mut redis, &["DEL", &key(&queue, "active")]).await;
    // The payload and the meta say that it is queued; one round trip cannot know better in O(1).
    assert_eq!(queue.enqueue("job-0", &0).await.unwrap(), Enqueued::AlreadyQueued);
    for expected in [Enqueued::New, Enqueued::AlreadyQueued] {
        for (id, job) in jobs(0..20) {
            assert_eq!(queue.enqueue_again(&id, &job).await.unwrap(), expected, "{id}");
        }
    }
    assert_eq!(queue.stats().await.unwrap().depth, 20);
    let worker = Worker::start(&queue, 4, nothing);
    until_idle(&queue).await;
    assert_eq!(worker.stop().await.len(), 20);
}

#[tokio::test]
async fn a_waiting_job_that_seems_finished_is_enqueued_again_without_a_second_entry() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &1).await.unwrap();
    let meta = key(&queue, "meta:a");
    let _: u32 = run_redis(&mut queue.connection(), &["HSET", &meta, "status", "Done"]).await;
    assert_eq!(
        queue.enqueue_again("a", &1).await.unwrap(),
        Enqueued::AlreadyQueued
    );
    let worker = Worker::start(&queue, 1, nothing);
    until_idle(&queue).await;
    assert_eq!(worker.stop().await, ["a"]);
}

#[tokio::test]
async fn an_id_that_could_not_be_acknowledged_is_invalid() {
    let queue = queue::<u32>().await;
    for id in ["", "007"] {
        let error = queue.enqueue(id, &1).await.unwrap_err();
        assert!(matches!(error, QueueError::InvalidId(_)), "{error}");
    }
    assert_eq!(queue.stats().await.unwrap().depth, 0);
}

#[tokio::test]
async fn without_redis_connecting_fails_soon_and_the_error_names_the_server() {
    let mut redis = Redis::start().await.unwrap();
    let config = config(&redis);
    redis.stop().await.unwrap();
    let error = timeout(TIMEOUT, Queue::<u32>::connect(config))
        .await
        .unwrap()
        .unwrap_err();
    assert!(error.to_string().contains("127.0.0.1"), "{error}");
}

#[tokio::test]
async fn a_lazy_queue_starts_without_redis_and_uses_it_once_it_is_up() {
    let mut redis = Redis::start().await.unwrap();
    let config = config(&redis);
    redis.stop().await.unwrap();
    let queue = Queue::<u32>::connect_lazy(config).unwrap();
    assert!(timeout(TIMEOUT, queue.enqueue("a", &1)).await.unwrap().is_err());

    redis.restart().await.unwrap();
    let outcome = testkit::eventually("an enqueued job", TIMEOUT, async || {
        queue.enqueue("a", &1).await.ok()
    });
    assert_eq!(outcome.await, Enqueued::New);
}

#[tokio::test]
async fn a_host_that_does_not_respond_is_given_up_at_the_connect_timeout() {
    // A listener that accepts no connections: the handshake gets no response.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("redis://{}", silent.local_addr().unwrap());
    let config = QueueConfig::new(url, "silent").connect_timeout(Duration::from_millis(50));
    assert!(
        timeout(TIMEOUT, Queue::<u32>::connect(config))
            .await
            .unwrap()
            .is_err()
    );
}

#[tokio::test]
async fn a_connection_dropped_between_two_calls_is_not_an_error() {
    let redis = Redis::start().await.unwrap();
    let queue = Queue::<u32>::connect(config(&redis)).await.unwrap();
    queue.enqueue("a", &1).await.unwrap();
    let mut other = redis.connect().await.unwrap();
    let closed: u32 = redis::cmd("CLIENT")
        .arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"])
        .query_async(&mut other)
        .await
        .unwrap();
    assert_eq!(closed, 1);
    assert_eq!(queue.enqueue("b", &1).await.unwrap(), Enqueued::New);
}

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use throughline_queue::WorkOptions;
use tokio::sync::Barrier;

use crate::support::{TIMEOUT, Worker, jobs, key, nothing, queue, run_redis, until_idle};

#[tokio::test(flavor = "multi_thread")]
async fn concurrency_is_reached_and_never_exceeded() {
    for concurrency in [1, 2, 4, 16, 64] {
        let queue = queue::<u32>().await;
        queue.enqueue_many(&jobs(0..512)).await.unwrap();
        // Every job waits until `concurrency` jobs run: if fewer could run, this would never end.
        let barrier = Arc::new(Barrier::new(concurrency));
        let running = Arc::new(AtomicUsize::new(0));
        let most = Arc::new(AtomicUsize::new(0));
        let worker = Worker::start(&queue, concurrency, {
            let most = Arc::clone(&most);
            move |_| {
                let (barrier, running) = (Arc::clone(&barrier), Arc::clone(&running));
                let most = Arc::clone(&most);
                async move {
                    most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    barrier.wait().await;
                    running.fetch_sub(1, Ordering::SeqCst);
                }
            }
        });
        until_idle(&queue).await;
        assert_eq!(worker.stop().await.len(), 512);
        assert_eq!(most.load(Ordering::SeqCst), concurrency);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_jobs_that_waited_for_a_worker_are_all_delivered() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..20_000)).await.unwrap();
    assert_eq!(queue.stats().await.unwrap().depth, 20_000);

    let worker = Worker::start(&queue, 64, nothing);
    until_idle(&queue).await;
    let seen = worker.stop().await;
    assert_eq!(seen.len(), 20_000);
    assert_eq!(seen.into_iter().collect::<HashSet<_>>().len(), 20_000);
}

#[tokio::test]
async fn a_panic_in_a_handler_is_acknowledged_and_the_worker_goes_on() {
    let queue = queue::<u32>().await;
    let worker = Worker::start(
        &queue,
        1,
        |delivery: throughline_queue::Delivery<u32>| async move {
            assert!(delivery.job != 0, "this panic is part of the test");
        },
    );
    for (id, job) in jobs(0..3) {
        queue.enqueue(&id, &job).await.unwrap();
    }
    worker.until_seen(3).await;
    until_idle(&queue).await;
    assert_eq!(worker.names().len(), 1, "the worker was not restarted");
    let mut redis = queue.connection();
    assert_eq!(
        run_redis::<u32>(&mut redis, &["SCARD", &key(&queue, "done")]).await,
        3
    );
    worker.stop().await;
}

#[tokio::test]
async fn an_unreadable_payload_is_dead_and_blocks_nothing() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&jobs(0..20)).await.unwrap();
    let mut redis = queue.connection();
    for poison in ["job-0", "job-7"] {
        let data = key(&queue, "data");
        let _: u32 = run_redis(&mut redis, &["HSET", &data, poison, "{not json"]).await;
    }

    let worker = Worker::start(&queue, 1, nothing);
    until_idle(&queue).await;
    assert_eq!(worker.names().len(), 1, "the worker was not restarted");
    let seen = worker.stop().await;
    assert_eq!(seen.len(), 18);
    assert!(!seen.contains(&"job-0".to_owned()));
    let dead: HashSet<String> = run_redis(&mut redis, &["SMEMBERS", &key(&queue, "dead")]).await;
    assert_eq!(dead, HashSet::from(["job-0".to_owned(), "job-7".to_owned()]));
    // apalis does not retry it 25 times.
    assert_eq!(
        run_redis::<u32>(&mut redis, &["EXISTS", &key(&queue, "scheduled")]).await,
        0
    );
}

#[tokio::test]
async fn a_delivery_carries_its_enqueue_time_and_its_worker() {
    let queue = queue::<String>().await;
    let (sender, mut deliveries) = tokio::sync::mpsc::unbounded_channel();
    let options = WorkOptions {
        name_prefix: "baker".into(),
        ..WorkOptions::default()
    };
    let worker = Worker::start_with(&queue, options, move |delivery| {
        sender.send(delivery).unwrap();
        async {}
    });
    let before = SystemTime::now();
    queue
        .enqueue("0198c1f0-93a4-7d6e-8f00-000000000000:1", &"bread".to_owned())
        .await
        .unwrap();
    let delivery = deliveries.recv().await.unwrap();
    assert_eq!(delivery.id, "0198c1f0-93a4-7d6e-8f00-000000000000:1");
    assert_eq!(delivery.job, "bread");
    assert!(delivery.worker.starts_with("baker-"));
    // Redis' clock is this machine's here, but it is read in whole milliseconds.
    assert!(delivery.enqueued_at + Duration::from_millis(1) >= before);
    assert!(delivery.enqueued_at <= SystemTime::now());
    assert!(delivery.waited <= before.elapsed().unwrap() + Duration::from_millis(1));
    worker.stop().await;
}

#[tokio::test]
async fn a_job_whose_wake_up_was_lost_is_delivered() {
    let queue = queue::<u32>().await;
    let worker = Worker::start(&queue, 4, nothing);
    worker.until_running(true).await;
    // What the enqueue script does, without the wake-up message.
    let mut redis = queue.connection();
    for n in 0..5 {
        let (data, active) = (key(&queue, "data"), key(&queue, "active"));
        let (id, meta) = (n.to_string(), key(&queue, &format!("meta:{n}")));
        let _: () = redis::pipe()
            .hset(data, &id, 1)
            .hset_multiple(
                meta,
                &[("attempts", "0"), ("max_attempts", "1"), ("status", "Pending")],
            )
            .rpush(active, &id)
            .query_async(&mut redis)
            .await
            .unwrap();
        worker.until_seen(n + 1).await;
    }
    worker.stop().await;
}

#[tokio::test]
async fn a_worker_that_lost_its_subscription_resubscribes() {
    let redis = testkit::Redis::start().await.unwrap();
    let queue = throughline_queue::Queue::<u32>::connect(crate::support::config(&redis))
        .await
        .unwrap();
    let worker = Worker::start(&queue, 4, nothing);
    let mut connection = queue.connection();
    let channels = key(&queue, "wake:*");
    let listeners = async |connection: &mut throughline_queue::Connection| {
        let channels: Vec<String> = run_redis(connection, &["PUBSUB", "CHANNELS", &channels]).await;
        channels.len()
    };
    let subscribed = |mut connection: throughline_queue::Connection| async move {
        (listeners(&mut connection).await == 1).then_some(())
    };
    testkit::eventually("a listener", TIMEOUT, || subscribed(connection.clone())).await;
    let killed: u32 = run_redis(&mut connection, &["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    assert_eq!(killed, 1);
    testkit::eventually("another listener", TIMEOUT, || subscribed(connection.clone())).await;
    queue.enqueue("a", &1).await.unwrap();
    worker.until_seen(1).await;
    worker.stop().await;
}

#[tokio::test]
async fn a_concurrency_of_zero_is_invalid() {
    let queue = queue::<u32>().await;
    let options = WorkOptions {
        concurrency: 0,
        ..WorkOptions::default()
    };
    let service = tower::service_fn(|_| async { Ok(()) });
    let outcome = queue
        .work(options, service, tokio_util::sync::CancellationToken::new())
        .await;
    assert!(outcome.unwrap_err().to_string().contains("want 1 to 10000"));
}

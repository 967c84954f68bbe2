//! Attempts with backoff, jobs that wait for their time, and dead letters.

use std::collections::HashSet;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use testkit::eventually;
use throughline_queue::{
    DeadLetter, Delivery, Enqueued, Job, Queue, QueueError, QueueStats, RetryPolicy, WorkOptions,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::support::{TIMEOUT, key, queue, run_redis};

/// An hour: these attempts happen only if a test moves their time.
const FAR: Duration = Duration::from_secs(3600);

/// A worker with retries, which records the number of each attempt.
struct Worker {
    attempts: Arc<Mutex<Vec<(String, u32)>>>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), QueueError>>,
}

impl Worker {
    fn start<J, F, Fut>(queue: &Queue<J>, attempts: u32, backoff: Duration, handle: F) -> Self
    where
        J: Job,
        F: Fn(Delivery<J>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        let seen: Arc<Mutex<Vec<_>>> = Arc::default();
        let shutdown = CancellationToken::new();
        let policy = RetryPolicy {
            attempts,
            min_backoff: backoff,
            max_backoff: FAR,
        };
        let (queue, token, record) = (queue.clone(), shutdown.clone(), Arc::clone(&seen));
        let service = tower::service_fn(move |delivery: Delivery<J>| {
            let attempt = (delivery.id.clone(), delivery.attempt);
            record.lock().unwrap().push(attempt);
            handle(delivery)
        });
        let options = WorkOptions::default();
        let task =
            tokio::spawn(async move { queue.work_with_retries(options, policy, service, token).await });
        Self {
            attempts: seen,
            shutdown,
            task,
        }
    }

    fn attempts(&self) -> Vec<(String, u32)> {
        self.attempts.lock().unwrap().clone()
    }

    async fn until_attempts(&self, count: usize) {
        let enough = async || (self.attempts().len() >= count).then_some(());
        eventually("attempts", TIMEOUT, enough).await;
    }

    async fn stop(self) -> Vec<(String, u32)> {
        self.shutdown.cancel();
        let stopped = tokio::time::timeout(TIMEOUT, self.task).await;
        stopped.expect("the worker stops").unwrap().unwrap();
        self.attempts.lock().unwrap().clone()
    }

    /// Stops the worker as SIGKILL does.
    async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

async fn until<J: Job>(queue: &Queue<J>, what: &str, reached: impl Fn(QueueStats) -> bool) {
    eventually(what, TIMEOUT, async || {
        reached(queue.stats().await.unwrap()).then_some(())
    })
    .await;
}

/// Waits until nothing waits and nothing runs, with so many dead letters.
async fn until_buried<J: Job>(queue: &Queue<J>, letters: u64) {
    until(queue, "dead letters", |stats| {
        (stats.depth, stats.in_flight, stats.later, stats.dead_letters) == (0, 0, 0, letters)
    })
    .await;
}

/// Lets the time of a job come.
async fn make_due<J: Job>(queue: &Queue<J>, id: &str) {
    let later = key(queue, "later");
    let _: u32 = run_redis(&mut queue.connection(), &["ZADD", &later, "XX", "1000", id]).await;
}

/// The name of the only worker.
async fn worker_name<J: Job>(queue: &Queue<J>) -> String {
    let mut redis = queue.connection();
    let names: Vec<String> = run_redis(&mut redis, &["ZRANGE", &key(queue, "workers"), "0", "-1"]).await;
    assert_eq!(names.len(), 1);
    names[0].clone()
}

/// Puts back the jobs of a worker that was killed, instead of waiting until it counts as dead.
async fn recover<J: Job>(queue: &Queue<J>, worker: &str) {
    let (mut redis, workers) = (queue.connection(), key(queue, "workers"));
    let _: u32 = run_redis(&mut redis, &["ZADD", &workers, "XX", "1000", worker]).await;
    queue.clean_up(1000).await.unwrap();
}

fn ids(letters: &[DeadLetter]) -> Vec<&str> {
    letters.iter().map(|letter| letter.id.as_str()).collect()
}

async fn fail<J>(_: Delivery<J>) -> Result<(), String> {
    Err("the mailbox is full".to_owned())
}

#[tokio::test]
async fn a_job_that_fails_is_attempted_again_until_it_succeeds() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &7).await.unwrap();
    let worker = Worker::start(
        &queue,
        5,
        Duration::from_millis(1),
        |delivery: Delivery<u32>| async move {
            assert_eq!(delivery.job, 7);
            if delivery.attempt < 3 {
                fail(delivery).await
            } else {
                Ok(())
            }
        },
    );
    worker.until_attempts(3).await;
    until_buried(&queue, 0).await;
    let attempts = worker.stop().await;
    assert_eq!(attempts, [1, 2, 3].map(|number| ("a".to_owned(), number)));
    assert_eq!(queue.clean_up(10).await.unwrap(), 1);
    let left: Vec<String> = run_redis(&mut queue.connection(), &["KEYS", &key(&queue, "*a")]).await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn each_backoff_is_longer_than_the_last_and_a_job_that_waits_is_not_enqueued_again() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &7).await.unwrap();
    let worker = Worker::start(&queue, 4, Duration::from_secs(60), fail);
    let (mut redis, record) = (queue.connection(), key(&queue, "later:a"));
    for (attempt, minutes) in [(2_u32, 1), (3, 2), (4, 4)] {
        until(&queue, "a job that waits for its time", |stats| stats.later == 1).await;
        let (due, next): (u64, u32) = run_redis(&mut redis, &["HMGET", &record, "due", "attempt"]).await;
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let backoff = Duration::from_millis(due).saturating_sub(now);
        assert_eq!(next, attempt);
        assert!(backoff > Duration::from_secs(60 * minutes - 55), "{backoff:?}");
        assert!(backoff < Duration::from_secs(60 * minutes) * 5 / 4, "{backoff:?}");

        assert_eq!(queue.enqueue("a", &8).await.unwrap(), Enqueued::AlreadyQueued);
        assert_eq!(
            queue.enqueue_again("a", &8).await.unwrap(),
            Enqueued::AlreadyQueued
        );
        assert_eq!(
            queue.enqueue_later("a", &8, FAR).await.unwrap(),
            Enqueued::AlreadyQueued
        );
        assert_eq!(queue.queued(&["a".to_owned()]).await.unwrap(), [true]);
        // Also once nothing but its record is left.
        queue.clean_up(10).await.unwrap();
        assert_eq!(queue.enqueue("a", &8).await.unwrap(), Enqueued::AlreadyQueued);
        assert_eq!(worker.attempts().len() + 1, usize::try_from(attempt).unwrap());
        make_due(&queue, "a").await;
        worker.until_attempts(usize::try_from(attempt).unwrap()).await;
    }
    until_buried(&queue, 1).await;
    worker.stop().await;
}

#[tokio::test]
async fn after_its_last_attempt_a_job_is_a_dead_letter_which_can_be_redriven_and_deleted() {
    let queue = queue::<u32>().await;
    for id in ["a", "b", "c"] {
        queue.enqueue(id, &7).await.unwrap();
        let worker = Worker::start(&queue, 2, Duration::from_millis(1), fail);
        worker.until_attempts(2).await;
        until(&queue, "nothing in flight", |stats| {
            (stats.depth, stats.in_flight, stats.later) == (0, 0, 0)
        })
        .await;
        worker.stop().await;
    }
    let letters = queue.dead_letters(0, 10).await.unwrap();
    assert_eq!(ids(&letters), ["a", "b", "c"]);
    let letter = &letters[0];
    assert_eq!((letter.payload.as_slice(), letter.attempts), (b"7".as_slice(), 2));
    assert_eq!(letter.error_type, std::any::type_name::<String>());
    assert_eq!(letter.error_message, "the mailbox is full");
    assert!(letter.failed_at.elapsed().unwrap() < TIMEOUT);
    assert_eq!(ids(&queue.dead_letters(1, 1).await.unwrap()), ["b"]);
    queue.clean_up(10).await.unwrap();

    assert_eq!(
        queue
            .delete_dead_letters(&["c".to_owned(), "d".to_owned()])
            .await
            .unwrap(),
        1
    );
    // A dead letter whose id was enqueued again stays.
    assert_eq!(queue.enqueue("b", &8).await.unwrap(), Enqueued::New);
    assert_eq!(queue.redrive(&["a".to_owned(), "b".to_owned()]).await.unwrap(), 1);
    assert_eq!(ids(&queue.dead_letters(0, 10).await.unwrap()), ["b"]);
    let worker = Worker::start(&queue, 2, FAR, async |_| Ok(()));
    until_buried(&queue, 1).await;
    assert_eq!(queue.redrive_oldest(10).await.unwrap(), 1);
    worker.until_attempts(3).await;
    until_buried(&queue, 0).await;
    let attempts: HashSet<_> = worker.stop().await.into_iter().collect();
    assert_eq!(
        attempts,
        HashSet::from([("a".to_owned(), 1), ("b".to_owned(), 1)])
    );
    queue.clean_up(10).await.unwrap();
    let left: Vec<String> =
        run_redis(&mut queue.connection(), &["KEYS", &key(&queue, "dead_letters*")]).await;
    assert!(left.is_empty(), "{left:?}");
}

#[tokio::test]
async fn more_dead_letters_than_one_call_of_the_script_takes_are_redriven_up_to_the_limit() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&crate::support::jobs(0..450)).await.unwrap();
    let worker = Worker::start(&queue, 1, FAR, fail);
    until_buried(&queue, 450).await;
    worker.stop().await;
    let listed = queue.dead_letters(0, 1000).await.unwrap();
    assert_eq!(ids(&listed).into_iter().collect::<HashSet<_>>().len(), 450);
    // These are skipped, and must not end it.
    for letter in &listed[..250] {
        queue.enqueue(&letter.id, &0).await.unwrap();
    }
    assert_eq!(queue.redrive_oldest(150).await.unwrap(), 150);
    assert_eq!(queue.redrive_oldest(1000).await.unwrap(), 50);
    assert_eq!(queue.stats().await.unwrap().depth, 450);
}

#[tokio::test]
async fn poison_is_a_dead_letter_alone() {
    let queue = queue::<u32>().await;
    queue.enqueue_many(&crate::support::jobs(0..100)).await.unwrap();
    let data = key(&queue, "data");
    let _: u32 = run_redis(&mut queue.connection(), &["HSET", &data, "job-3", "\"three\""]).await;
    let worker = Worker::start(
        &queue,
        2,
        Duration::from_millis(1),
        |delivery: Delivery<u32>| async move {
            assert!(delivery.job != 7, "this panic is part of the test");
            Ok(())
        },
    );
    until_buried(&queue, 2).await;
    assert_eq!(worker.stop().await.len(), 98 + 2);
    let letters = queue.dead_letters(0, 10).await.unwrap();
    let mut found: Vec<_> = letters
        .iter()
        .map(|letter| {
            (
                &*letter.id,
                &*letter.error_type,
                letter.attempts,
                letter.payload.as_slice(),
            )
        })
        .collect();
    found.sort_unstable();
    let unreadable = std::any::type_name::<serde_json::Error>();
    let expected: [(_, _, _, &[u8]); 2] = [
        ("job-3", unreadable, 1, b"\"three\""),
        ("job-7", "panic", 2, b"7"),
    ];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_worker_killed_before_it_recorded_a_failure_repeats_that_attempt() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &7).await.unwrap();
    let killed = Worker::start(
        &queue,
        3,
        Duration::from_millis(1),
        |delivery: Delivery<u32>| async move {
            if delivery.attempt == 2 {
                pending::<()>().await;
            }
            fail(delivery).await
        },
    );
    killed.until_attempts(2).await;
    let name = worker_name(&queue).await;
    killed.kill().await;
    recover(&queue, &name).await;
    let worker = Worker::start(&queue, 3, FAR, async |_| Ok(()));
    worker.until_attempts(1).await;
    until_buried(&queue, 0).await;
    assert_eq!(worker.stop().await, [("a".to_owned(), 2)]);
}

/// Records a failure as a worker does that is killed before the acknowledgement. Returns its name.
async fn fail_and_die(queue: &Queue<u32>, backoff_ms: &str) -> String {
    let worker = Worker::start(queue, 3, FAR, async |_| pending().await);
    worker.until_attempts(1).await;
    let (mut redis, name) = (queue.connection(), worker_name(queue).await);
    let script = concat!(
        include_str!("../../lua/job.lua"),
        include_str!("../../lua/fail.lua")
    );
    let script = redis::Script::new(script);
    let mut invocation = script.prepare_invoke();
    let inflight = format!("inflight:{name}");
    for part in [
        "data",
        "meta",
        &inflight,
        "later",
        "later",
        "dead_letters",
        "dead_letters",
    ] {
        invocation.key(key(queue, part));
    }
    invocation.arg(&["a", "1", backoff_ms, "test", "part of the test"]);
    // A repeated call changes nothing.
    for _ in 0..2 {
        assert_eq!(invocation.invoke_async::<u32>(&mut redis).await.unwrap(), 1);
    }
    worker.kill().await;
    name
}

#[tokio::test]
async fn a_worker_killed_between_the_record_and_the_acknowledgement_repeats_nothing() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &7).await.unwrap();
    let name = fail_and_die(&queue, "3600000").await;
    recover(&queue, &name).await;
    let stats = queue.stats().await.unwrap();
    assert_eq!((stats.depth, stats.in_flight, stats.later), (0, 0, 1));
    let worker = Worker::start(&queue, 3, FAR, async |_| Ok(()));
    make_due(&queue, "a").await;
    worker.until_attempts(1).await;
    until_buried(&queue, 0).await;
    assert_eq!(worker.stop().await, [("a".to_owned(), 2)]);

    queue.enqueue("a", &7).await.unwrap();
    let name = fail_and_die(&queue, "-1").await;
    // It is still in flight.
    assert_eq!(queue.redrive_oldest(10).await.unwrap(), 0);
    recover(&queue, &name).await;
    until_buried(&queue, 1).await;
    assert_eq!(queue.redrive_oldest(10).await.unwrap(), 1);
}

#[tokio::test]
async fn a_job_that_is_due_before_its_acknowledgement_waits_for_it() {
    let queue = queue::<u32>().await;
    queue.enqueue("a", &7).await.unwrap();
    let name = fail_and_die(&queue, "0").await;
    let worker = Worker::start(&queue, 3, FAR, async |_| Ok(()));
    // Another job is moved meanwhile.
    queue.enqueue_later("b", &7, Duration::ZERO).await.unwrap();
    worker.until_attempts(1).await;
    assert_eq!(worker.attempts(), [("b".to_owned(), 1)]);
    recover(&queue, &name).await;
    worker.until_attempts(2).await;
    until_buried(&queue, 0).await;
    assert_eq!(worker.stop().await[1], ("a".to_owned(), 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_jobs_may_be_due_at_once() {
    let queue = queue::<u32>().await;
    let mut redis = queue.connection();
    // As `enqueue_later` stores them, faster.
    let script = "for i = 1, 20000 do local id = 'job-' .. i \
        redis.call('HSET', KEYS[1] .. ':' .. id, 'payload', i, 'attempt', 2, 'due', 1000) \
        redis.call('ZADD', KEYS[1], 1000, id) \
        redis.call('HSET', KEYS[2] .. ':' .. id, 'parked', 'later') end return 0";
    let (later, meta) = (key(&queue, "later"), key(&queue, "meta"));
    let _: u32 = run_redis(&mut redis, &["EVAL", script, "2", &later, &meta]).await;
    // The record of one of them was lost.
    let _: u32 = run_redis(&mut redis, &["DEL", &key(&queue, "later:job-1")]).await;
    let worker = Worker::start(&queue, 2, FAR, async |_| Ok(()));
    worker.until_attempts(19_999).await;
    until_buried(&queue, 0).await;
    let attempts = worker.stop().await;
    assert!(attempts.iter().all(|(_, number)| *number == 2));
    assert_eq!(attempts.into_iter().collect::<HashSet<_>>().len(), 19_999);
}

#[tokio::test]
async fn a_job_for_later_waits_for_its_time_and_is_enqueued_once() {
    let queue = queue::<u32>().await;
    assert_eq!(queue.enqueue_later("a", &7, FAR).await.unwrap(), Enqueued::New);
    assert_eq!(
        queue.enqueue_later("a", &8, Duration::ZERO).await.unwrap(),
        Enqueued::AlreadyQueued
    );
    let error = queue.enqueue_later("007", &7, FAR).await.unwrap_err();
    assert!(matches!(error, QueueError::InvalidId(_)), "{error}");
    queue
        .enqueue_later("b", &7, Duration::from_millis(50))
        .await
        .unwrap();
    let worker = Worker::start(&queue, 1, FAR, |delivery: Delivery<u32>| async move {
        assert_eq!(delivery.job, 7);
        Ok(())
    });
    worker.until_attempts(1).await;
    assert_eq!(worker.attempts(), [("b".to_owned(), 1)]);
    make_due(&queue, "a").await;
    worker.until_attempts(2).await;
    until_buried(&queue, 0).await;
    worker.stop().await;
}

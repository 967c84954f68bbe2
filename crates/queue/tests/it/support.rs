//! A queue per test, and a worker that records its deliveries.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testkit::{Redis, eventually};
use throughline_queue::{
    Connection, Delivery, Job, Queue, QueueConfig, QueueError, WorkOptions, WorkerHealth,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Timeout for events that are certain: long enough for a machine under load.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// A queue with a unique name, on the shared Redis.
pub(crate) async fn queue<J: Job>() -> Queue<J> {
    let redis = testkit::redis().await.unwrap();
    Queue::connect(config(&redis)).await.unwrap()
}

pub(crate) fn config(redis: &Redis) -> QueueConfig {
    QueueConfig::new(redis.url(), Uuid::now_v7().to_string())
}

/// The key of the test's queue: `key(&queue, "active")`.
pub(crate) fn key<J: Job>(queue: &Queue<J>, part: &str) -> String {
    format!("{}:{part}", queue.name())
}

pub(crate) fn jobs(range: std::ops::Range<u32>) -> Vec<(String, u32)> {
    range.map(|n| (format!("job-{n}"), n)).collect()
}

/// Runs a command of Redis.
pub(crate) async fn run_redis<T: redis::FromRedisValue>(connection: &mut Connection, command: &[&str]) -> T {
    redis::cmd(command[0])
        .arg(&command[1..])
        .query_async(connection)
        .await
        .unwrap()
}

/// How often Redis ran a command, including calls by scripts.
pub(crate) async fn calls<J: Job>(queue: &Queue<J>, command: &str) -> usize {
    let info: String = run_redis(&mut queue.connection(), &["INFO", "commandstats"]).await;
    let prefix = format!("cmdstat_{command}:calls=");
    let line = info.lines().find_map(|line| line.strip_prefix(&prefix));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

pub(crate) async fn until_idle<J: Job>(queue: &Queue<J>) {
    eventually("an empty queue", TIMEOUT, async || {
        let stats = queue.stats().await.ok()?;
        let busy = (stats.depth, stats.in_flight, stats.oldest_age);
        (busy == (0, 0, None)).then_some(())
    })
    .await;
}

/// A delivery: the job's id and the worker's name.
type Seen = (String, Arc<str>);

/// A running worker.
pub(crate) struct Worker {
    pub(crate) health: WorkerHealth,
    deliveries: Arc<Mutex<Vec<Seen>>>,
    shutdown: CancellationToken,
    task: JoinHandle<Result<(), QueueError>>,
}

impl Worker {
    /// Starts a worker that handles each job with `handle`.
    pub(crate) fn start<J, F, Fut>(queue: &Queue<J>, concurrency: usize, handle: F) -> Self
    where
        J: Job,
        F: Fn(Delivery<J>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let options = WorkOptions {
            concurrency,
            ..WorkOptions::default()
        };
        Self::start_with(queue, options, handle)
    }

    pub(crate) fn start_with<J, F, Fut>(queue: &Queue<J>, options: WorkOptions, handle: F) -> Self
    where
        J: Job,
        F: Fn(Delivery<J>) -> Fut + Clone + Send + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let deliveries = Arc::new(Mutex::new(Vec::new()));
        let (shutdown, health) = (CancellationToken::new(), options.health.clone());
        let seen = Arc::clone(&deliveries);
        let service = tower::service_fn(move |delivery: Delivery<J>| {
            seen.lock()
                .unwrap()
                .push((delivery.id.clone(), Arc::clone(&delivery.worker)));
            let job = handle(delivery);
            async move {
                job.await;
                Ok::<_, Infallible>(())
            }
        });
        let (queue, token) = (queue.clone(), shutdown.clone());
        let task = tokio::spawn(async move { queue.work(options, service, token).await });
        Self {
            health,
            deliveries,
            shutdown,
            task,
        }
    }

    /// The ids of the jobs delivered so far, in order.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.deliveries
            .lock()
            .unwrap()
            .iter()
            .map(|(id, _)| id.clone())
            .collect()
    }

    /// The names under which the worker registered so far.
    pub(crate) fn names(&self) -> Vec<Arc<str>> {
        let mut names: Vec<_> = self
            .deliveries
            .lock()
            .unwrap()
            .iter()
            .map(|(_, name)| Arc::clone(name))
            .collect();
        names.dedup();
        names
    }

    pub(crate) async fn until_seen(&self, count: usize) {
        eventually("deliveries", TIMEOUT, async || {
            (self.seen().len() >= count).then_some(())
        })
        .await;
    }

    pub(crate) async fn until_running(&self, running: bool) {
        let what = if running {
            "a running worker"
        } else {
            "a stopped worker"
        };
        eventually(what, TIMEOUT, async || {
            (self.health.is_running() == running).then_some(())
        })
        .await;
    }

    /// Stops the worker as SIGTERM does. Returns the ids of all delivered jobs.
    pub(crate) async fn stop(self) -> Vec<String> {
        self.shutdown.cancel();
        tokio::time::timeout(TIMEOUT, self.task)
            .await
            .expect("the worker stops")
            .unwrap()
            .unwrap();
        let deliveries = self.deliveries.lock().unwrap();
        deliveries.iter().map(|(id, _)| id.clone()).collect()
    }

    pub(crate) fn request_shutdown(&self) {
        self.shutdown.cancel();
    }

    /// Stops the worker as SIGKILL does: it does not deregister.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
    }
}

/// A handler that returns at once.
pub(crate) async fn nothing<J>(_: Delivery<J>) {}

//! Redis-backed job queues: [apalis-redis](apalis_redis) 1.0.0, hardened. Generic over the job; knows nothing of orders.
//!
//! A [`Queue`] hands jobs from the processes that [`enqueue`](Queue::enqueue) them to the processes that
//! [`work`](Queue::work) on them. Redis only carries: a job may be delivered twice, and is gone when Redis loses its
//! data. Who must not lose a job keeps it in a database, enqueues it again when it is overdue, and claims it there
//! before acting on it. That makes every promise here a cheap one:
//!
//! - a job that waits or is in flight is not enqueued again; one that is finished, or lost, is;
//! - a job is delivered at once: workers are woken by pub/sub, and a short tick covers a lost message;
//! - a job of a worker that died is delivered again within [`DEAD_AFTER`] and a heartbeat;
//! - a handler that returned is acknowledged, also when it panicked, and at shutdown; there are no retries in Redis;
//! - a worker outlives Redis: it starts again, under a new name, until it is told to stop.
//!
//! ```no_run
//! # async fn example() -> Result<(), throughline_queue::QueueError> {
//! use throughline_queue::{Delivery, Queue, QueueConfig, WorkOptions};
//! use tokio_util::sync::CancellationToken;
//!
//! let queue: Queue<String> = Queue::connect_lazy(QueueConfig::new("redis://127.0.0.1", "letters"))?;
//! queue.enqueue("letter-1", &"Dear reader".to_owned()).await?;
//!
//! let send = tower::service_fn(|letter: Delivery<String>| async move {
//!     println!("{}: {}", letter.id, letter.job);
//!     Ok(())
//! });
//! queue.work(WorkOptions::default(), send, CancellationToken::new()).await
//! # }
//! ```
//!
//! # What lies in Redis
//!
//! The layout is that of apalis-redis, so its fetch and acknowledge scripts run unchanged; how each key is spelled
//! stands in `keys.rs`. For a queue named `orders`:
//!
//! | key | type | holds |
//! |---|---|---|
//! | `orders:data` | hash | id to payload (JSON), from enqueue until clean-up |
//! | `orders:meta:<id>` | hash | `attempts`, `max_attempts`, `status`, `enqueued_at` (ms, Redis' clock); `result`, `done_at` at the end |
//! | `orders:active` | list | ids that wait; fetched at the head, added at the tail |
//! | `orders:inflight:<worker>` | set | ids that this worker fetched and did not acknowledge yet |
//! | `orders:workers` | sorted set | worker names by their last heartbeat (s, Redis' clock) |
//! | `orders:workers:metadata:<worker>` | hash | what apalis notes of a worker |
//! | `orders:done`, `orders:dead` | set | ids that are finished, or had a payload that nobody can read; until clean-up |
//! | `orders:wake` | channel | one message an enqueue, to wake idle workers |
//! | `orders:epoch` | string | when this Redis was first seen; missing: it lost its data ([`Queue::epoch`]) |
//! | `orders:epoch:told` | string | for seconds: a process was told that the epoch is missing |
//! | `core:apalis:queues:list` | sorted set | apalis' list of queues; the one key that all queues share |
//!
//! A job's id is in exactly one place: `active`, one `inflight` set, `done`, or `dead`.
//!
//! ```text
//!            enqueue            fetch                 acknowledge          clean_up
//!   (none) ----------> active ---------> inflight:<w> -----------> done ------------> (none)
//!                        ^                  |     |                 |
//!                        |  worker died or  |     |  unreadable     |  enqueue again
//!                        +------ left ------+     +-------> dead    +-----> active
//! ```
//!
//! Not used, because each has a trap: `:scheduled` (its fetch `unpack`s every due id and fails for good above about
//! 8,000), `:idempotency`, locks, task events, and `vacuum`. apalis writes `:signal` and reads it never.
//!
//! Redis must not be full either: apalis' fetch writes before it frees, so a queue that filled its Redis could not be drained. A job
//! that waits takes about 400 bytes beyond its payload; [`Queue::enqueue_within`] bounds how many do.
//!
//! Redis must not evict (`maxmemory-policy noeviction`). Should it have evicted a payload or its meta, the queue drops
//! or mends that job and goes on. Redis Cluster is not supported: a script touches keys of several slots.
#![warn(missing_docs)]

mod cleanup;
mod config;
mod connection;
mod enqueue;
mod epoch;
mod error;
mod keys;
mod queue;
mod scripts;
mod stats;
mod worker;

pub use crate::{
    config::QueueConfig,
    connection::Connection,
    enqueue::Enqueued,
    epoch::Epoch,
    error::QueueError,
    queue::{Job, Queue},
    stats::QueueStats,
    worker::{DEAD_AFTER, Delivery, HEARTBEAT, WorkOptions, WorkerHealth},
};

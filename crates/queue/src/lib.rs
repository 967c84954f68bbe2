//! Redis-backed job queues: [apalis-redis](apalis_redis) 1.0.0, hardened. Generic over the job; knows nothing
//! of orders.
//!
//! A [`Queue`] hands jobs from the processes that [`enqueue`](Queue::enqueue) them to the processes that
//! [`work`](Queue::work) on them. Redis only carries: a job may be delivered twice, and is gone when Redis
//! loses its data or a part of it. A caller that must not lose a job keeps it in a database, claims it there
//! before acting on it, and looks up overdue jobs with [`queued`](Queue::queued): those that it does not find
//! go to [`enqueue_again`](Queue::enqueue_again). With that, these guarantees suffice:
//!
//! - a job that waits or is in flight is not enqueued again; a finished one is. One that Redis lost from its
//!   lists, while its payload and meta stayed, is found by `queued`, which reads the lists;
//! - a job is delivered at once: as many workers as there are jobs are woken by pub/sub, and polling at short
//!   intervals covers a lost message;
//! - a job of a worker that died is redelivered within [`DEAD_AFTER`] plus one [`HEARTBEAT`];
//! - a job is acknowledged when its handler returns or panics, also during shutdown; there are no retries in
//!   Redis;
//! - a worker survives an outage of Redis: it restarts, under a new name, until shutdown.
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
//! The layout is that of apalis-redis, so its fetch and acknowledge scripts run unchanged. `keys.rs` builds
//! the key names. For a queue named `orders`:
//!
//! | key | type | holds |
//! |---|---|---|
//! | `orders:data` | hash | id to payload (JSON), from enqueue until clean-up |
//! | `orders:meta:<id>` | hash | `attempts`, `max_attempts`, `status`, `enqueued_at`; `result`, `done_at` |
//! | `orders:active` | list | ids that wait; fetched at the head, added at the tail |
//! | `orders:inflight:<worker>` | set | ids that this worker fetched and did not acknowledge yet |
//! | `orders:workers` | sorted set | worker names by their last heartbeat |
//! | `orders:workers:metadata:<worker>` | hash | what apalis stores about a worker |
//! | `orders:done`, `orders:dead` | set | ids that finished, or have an unreadable payload; until clean-up |
//! | `orders:idle` | set | processes whose worker waits; an enqueue wakes as many as it has jobs |
//! | `orders:wake:<process>` | channel | wakes the worker of this process |
//! | `orders:wake` | channel | wakes the workers of release 0.1, when no process is in `orders:idle` |
//! | `orders:older` | string | for seconds: older jobs wait elsewhere ([`Queue::set_older_jobs_wait`]) |
//! | `orders:reports` | hash | process to its latest report ([`Queue::report`]), for two minutes |
//! | `orders:epoch` | string | time of the first use; missing if Redis lost its data ([`Queue::epoch`]) |
//! | `orders:epoch:jobs_since` | string | time of the first enqueue since the epoch is missing |
//! | `orders:epoch:told` | string | for 10 s: the missing epoch was reported to one process |
//! | `core:apalis:queues:list` | sorted set | apalis' list of queues; the one key that all queues share |
//!
//! `enqueued_at` is in ms and heartbeats are in s, by Redis' clock. A job's id is in exactly one place:
//! `active`, one `inflight` set, `done`, or `dead`.
//!
//! ```text
//!            enqueue            fetch                 acknowledge          clean_up
//!   (none) ----------> active ---------> inflight:<w> -----------> done ------------> (none)
//!                        ^                  |     |                 |
//!                        |  worker died or  |     |  unreadable     |  enqueue again
//!                        +---- stopped -----+     +-------> dead    +-----> active
//! ```
//!
//! Not used, because each has a trap: `:scheduled` (its fetch `unpack`s every due id and fails permanently
//! above about 8,000, so it is deleted at every heartbeat), `:idempotency`, locks, task events, and `vacuum`.
//! apalis writes `:signal` and never reads it.
//!
//! Redis must not fill up: apalis' fetch writes before it frees, so a queue that filled its Redis cannot be
//! drained. A waiting job takes about 400 bytes beyond its payload; [`Queue::enqueue_within`] bounds the
//! number of waiting jobs.
//!
//! Redis must not evict (`maxmemory-policy noeviction`). When it evicted a payload, the queue drops that job;
//! when it evicted the meta, the queue writes it again. Redis Cluster is not supported: a script touches keys
//! of several slots.
#![warn(missing_docs)]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod cleanup;
mod config;
mod connection;
mod enqueue;
mod epoch;
mod error;
mod keys;
mod queue;
mod reports;
mod scripts;
mod stats;
mod worker;

pub use crate::config::QueueConfig;
pub use crate::connection::Connection;
pub use crate::enqueue::Enqueued;
pub use crate::epoch::Epoch;
pub use crate::error::QueueError;
pub use crate::queue::{Job, Queue};
pub use crate::reports::{REPORT_TTL, Report};
pub use crate::stats::QueueStats;
pub use crate::worker::{DEAD_AFTER, Delivery, HEARTBEAT, Pause, WorkOptions, WorkerHealth};

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

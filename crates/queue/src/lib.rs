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
//! - a job is delivered at once: as many workers as there are jobs are woken by pub/sub, and a fetch once a
//!   second covers a lost message;
//! - a job of a worker that died is redelivered within [`DEAD_AFTER`] plus one [`HEARTBEAT`];
//! - a job is acknowledged when its handler returns or panics, also during shutdown. Nothing attempts it
//!   again, unless its worker runs with [retries](#retries);
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
//! # Retries
//!
//! For a caller without a database behind the queue: [`Queue::work_with_retries`] attempts a job again that
//! returned an error or panicked, after a backoff that doubles, and stores it as a dead letter after its last
//! attempt. [`Queue::enqueue_later`] enqueues a job after a delay. [`Queue::dead_letters`] lists dead
//! letters, [`Queue::redrive`] enqueues them again, [`Queue::delete_dead_letters`] deletes them; nothing else
//! does. A dead letter does not keep its id from being enqueued.
//!
//! ```no_run
//! # async fn example(queue: throughline_queue::Queue<String>) -> Result<(), throughline_queue::QueueError> {
//! use throughline_queue::{Delivery, RetryPolicy, WorkOptions};
//! use tokio_util::sync::CancellationToken;
//!
//! let send = tower::service_fn(|letter: Delivery<String>| async move {
//!     if letter.attempt < 3 { Err("the mailbox is full") } else { Ok(()) }
//! });
//! let policy = RetryPolicy { attempts: 5, ..RetryPolicy::default() };
//! queue.work_with_retries(WorkOptions::default(), policy, send, CancellationToken::new()).await
//! # }
//! ```
//!
//! A job is delivered at least once. What a crash repeats:
//!
//! - the worker dies before Redis has the outcome of an attempt: that attempt is repeated, under its number
//!   and without limit, as a job of any worker that died. A job that kills its worker never becomes a dead
//!   letter;
//! - it dies after a failure was recorded, and before the acknowledgement: nothing is repeated;
//! - Redis fails over to a replica that lacks the last writes: what they recorded is repeated or lost.
//!
//! A queue whose workers do not use retries pays nothing for them when it enqueues, fetches or acknowledges:
//! no script, no loop, no command more. There are no priorities: apalis' fetch takes the head of one list.
//! Use a queue for each, with its own workers.
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
//! | | | with retries: the number of the `attempt`; `parked`: `later` or `dead_letter` |
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
//! | `orders:later` | sorted set | ids that wait for their time, by that time in ms |
//! | `orders:later:<id>` | hash | `payload`, `due`, and the number of the `attempt` that is due |
//! | `orders:dead_letters` | sorted set | ids of dead letters, by the time of their failure in ms |
//! | `orders:dead_letters:<id>` | hash | `payload`, `attempts`, `error_type`, `error_message` |
//! | `orders:epoch` | string | time of the first use; missing if Redis lost its data ([`Queue::epoch`]) |
//! | `orders:epoch:jobs_since` | string | time of the first enqueue since the epoch is missing |
//! | `orders:epoch:told` | string | for 10 s: the missing epoch was reported to one process |
//! | `core:apalis:queues:list` | sorted set | apalis' list of queues; the one key that all queues share |
//!
//! `enqueued_at` is in ms and heartbeats are in s, by Redis' clock. A job's id is in exactly one place:
//! `active`, one `inflight` set, `done`, or `dead`. Of a job that waits for its time, or is a dead letter,
//! what counts is its own record; `parked` in its meta says so until its acknowledgement and its clean-up are
//! done.
//!
//! ```text
//!            enqueue            fetch                 acknowledge          clean_up
//!   (none) ----------> active ---------> inflight:<w> -----------> done ------------> (none)
//!                        ^                  |     |                 |
//!                        |  worker died or  |     |  unreadable     |  enqueue again
//!                        +---- stopped -----+     +-------> dead    +-----> active
//!
//!            enqueue_later        its time                 redrive
//!   (none) --------------> later ---------> active <--------------- dead_letters
//!                            ^                                           ^
//!            an attempt fails +---------------- inflight ----------------+ the last attempt fails
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
mod dead_letters;
mod enqueue;
mod epoch;
mod error;
mod keys;
mod later;
mod queue;
mod reports;
mod scripts;
mod stats;
mod worker;

pub use crate::config::QueueConfig;
pub use crate::connection::Connection;
pub use crate::dead_letters::DeadLetter;
pub use crate::enqueue::Enqueued;
pub use crate::epoch::Epoch;
pub use crate::error::QueueError;
pub use crate::queue::{Job, Queue};
pub use crate::reports::{REPORT_TTL, Report};
pub use crate::stats::QueueStats;
pub use crate::worker::{DEAD_AFTER, Delivery, HEARTBEAT, Pause, RetryPolicy, WorkOptions, WorkerHealth};

/// The examples of the README compile.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

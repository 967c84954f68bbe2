//! Queued jobs: a PRODUCER span for sending, a CONSUMER span for processing, and between them the W3C trace
//! context in the job's payload. [`Consumer`] is a tower layer over any queue's deliveries, such as apalis'
//! tasks.
//!
//! ```
//! use std::collections::HashMap;
//! use std::time::Duration;
//! use throughline_telemetry::job::{Consumer, Producer, Received};
//!
//! #[derive(Clone)]
//! struct Parcel { id: String, trace: HashMap<String, String> }
//!
//! # async fn push(parcel: Parcel) -> Result<(), std::io::Error> { Ok(()) }
//! # async fn run() -> Result<(), std::io::Error> {
//! let producer = Producer::new("parcels", "localhost", 6379);
//! let send = |trace| push(Parcel { id: "parcel-7".to_owned(), trace });
//! producer.send("parcel-7", send, |_| "connection").await?;
//! # Ok(())
//! # }
//!
//! let consumer = Consumer::new("parcels");
//! let layer = consumer.layer(|parcel: &Parcel| Received {
//!     message_id: &parcel.id,
//!     sent_in: &parcel.trace,
//!     previous_attempt: None,
//!     attempt: 1,
//!     waited: Duration::ZERO,
//!     client_id: "worker-1",
//! });
//! ```
//!
//! With the feature `apalis`, the context is in the metadata of apalis' tasks instead, as apalis' own
//! `opentelemetry` feature has it: `Producer::push` and `Consumer::task_layer` need no field in the payload.
//!
//! With the feature `queue`, `TracedQueue` is a queue of `throughline-queue` that does all of this itself.

mod consumer;
mod producer;
#[cfg(feature = "queue")]
mod queue;
mod system;
#[cfg(feature = "apalis")]
mod task;

pub use consumer::{Consumer, ConsumerLayer, ConsumerService, JobTrace, Processing, Received, fail};
pub use producer::{Producer, SharedSpan};
#[cfg(feature = "queue")]
pub use queue::{Traced, TracedQueue};
#[cfg(feature = "apalis")]
pub use task::{context_of, tracing_context};

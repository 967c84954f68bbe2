//! Jobs in a queue: a PRODUCER span where one is sent, a CONSUMER span where it is processed, and the W3C trace context in the
//! job's own payload between them. [`Consumer`] is a tower layer over whatever the queue delivers, apalis' tasks or another's.
//!
//! ```
//! use std::collections::HashMap;
//! use throughline_telemetry::job::{Consumer, Received};
//! use std::time::Duration;
//!
//! #[derive(Clone)]
//! struct Parcel { id: String, trace: HashMap<String, String> }
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

mod consumer;
mod producer;

pub use consumer::{
    Consumer, ConsumerLayer, ConsumerService, JobTrace, Processing, Received, fail,
};
pub use producer::Producer;

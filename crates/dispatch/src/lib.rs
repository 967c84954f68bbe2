//! What the API and the worker share about orders in Redis. [`jobs`] enqueues the job that processes an
//! order, within the order's trace; [`events`] publishes each transition of an order to those who follow it;
//! [`workers`] lists the workers.
//!
//! PostgreSQL is the truth: a job or an event that Redis loses is made up for from there.
#![warn(missing_docs)]

mod config;
pub mod events;
pub mod jobs;
pub mod workers;

pub use config::queue_from_env;
pub use events::{Notification, OrderEvent, Publisher, Subscriber};
pub use jobs::{DispatchError, Dispatcher};
pub use workers::Worker;

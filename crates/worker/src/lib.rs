//! The worker: it takes jobs from the queue, claims each order in PostgreSQL, validates and charges it, and records the end.
//! Redis may lose or repeat a job; the claim decides who processes, and the reconciler dispatches what was lost.
//!
//! [`program`] is the binary, [`startup`] runs it all; `processing` is the way of one order, `payment` the gateway, `reconciler` the loop behind.

pub mod config;
pub mod program;
pub mod startup;

mod health;
mod metrics;
mod payment;
mod processing;
mod reconciler;
mod sabotage;
mod sweeper;

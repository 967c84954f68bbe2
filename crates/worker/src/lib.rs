//! The worker takes jobs from the queue, claims each order in PostgreSQL, charges it and records the outcome.
//! Redis may lose or repeat a job: the claim decides which worker processes an order, and the reconciler
//! dispatches lost jobs again. [`startup`] connects the parts.

pub mod config;
pub mod program;
pub mod startup;

mod health;
mod leadership;
mod lease;
mod metrics;
mod operations;
mod outcome;
mod pause;
mod payment;
mod processing;
mod reconciler;
mod report;
#[cfg(feature = "sabotage")]
mod sabotage;
mod samples;
#[cfg(test)]
mod shop;
mod sweeper;
mod totals;

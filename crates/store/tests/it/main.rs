//! The store against a real PostgreSQL; each test has its own database.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions
)]

mod attempt;
mod change;
mod costs;
mod create;
mod erasure;
mod filters;
mod history;
mod idempotency;
mod lanes;
mod leases;
mod migrate;
mod model;
mod operations;
mod outage;
mod overlap;
mod pgbouncer;
mod plans;
mod pool;
mod read;
mod reconcile;
mod retention;
mod samples;
mod settlement;
mod setup;
mod tls;
mod totals;
mod transitions;

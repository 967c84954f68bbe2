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
mod create;
mod erasure;
mod history;
mod idempotency;
mod lanes;
mod leases;
mod migrate;
mod model;
mod outage;
mod overlap;
mod pgbouncer;
mod plans;
mod pool;
mod read;
mod reconcile;
mod retention;
mod settlement;
mod setup;
mod tls;
mod totals;
mod transitions;

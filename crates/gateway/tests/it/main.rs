//! The sandbox over real HTTP, in-process and as a program.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions
)]

mod client;
mod faults;
mod idempotency;
mod payments;
mod program;
mod telemetry;

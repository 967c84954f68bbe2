//! Tests of the guarantees of `queue` against a real Redis. Each test has its own queue, and its own server
//! where it disturbs Redis.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions
)]

mod apalis_settings;
mod apalis_traps;
mod clean_up;
mod dead_workers;
mod delivery;
mod enqueue;
mod eviction;
mod failover;
mod outage;
mod pause;
mod reports;
mod retries;
mod shutdown;
mod stats;
mod support;
mod tls;
mod wake;

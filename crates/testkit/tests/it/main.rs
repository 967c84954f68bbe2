//! Tests of the other crates rely on this: servers start, are isolated from each other, and leave nothing
//! behind.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions
)]

extern crate throughline_testkit as testkit;

#[cfg(feature = "browser")]
mod browser;
mod orphans;
mod postgres;
mod proxy;
mod redis;
mod stack;

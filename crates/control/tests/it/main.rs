//! The control room of a real stack.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions
)]

mod access;
mod faults;
mod numbers;
mod processes;
mod visitor;

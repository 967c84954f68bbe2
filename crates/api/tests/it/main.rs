//! The promises of the HTTP interface, asked of the real program over HTTP, with real PostgreSQL and Redis.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions
)]

mod answer;
mod auth;
mod clients;
mod connections;
mod errors;
mod events;
mod idempotency;
mod limits;
mod lists;
mod orders;
mod pages;
mod service;
mod worker;

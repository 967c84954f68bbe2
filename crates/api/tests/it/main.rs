//! Tests of the HTTP interface: the real program over HTTP, with real PostgreSQL and Redis.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions
)]

mod auth;
mod clients;
mod commands;
mod connections;
mod console;
mod errors;
mod events;
mod idempotency;
mod limits;
mod lists;
mod memory;
mod operations;
mod orders;
mod pages;
mod response;
mod service;
mod streams;
mod versions;
mod worker;

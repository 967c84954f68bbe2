//! What the library promises, seen from outside: real HTTP, real OTLP, and [`lens`] as the receiver of both.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions
)]

mod app;
mod http_client;
mod http_server;
mod jobs;
mod nesting;
mod statements;
mod support;

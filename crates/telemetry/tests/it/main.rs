//! The library from outside: real HTTP, real OTLP, and [`lens`] as the receiver.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions
)]

mod additions;
mod app;
mod cache;
mod collectors;
mod config_file;
mod connections;
mod environment;
mod guide;
mod http_client;
mod http_server;
mod jobs;
mod nesting;
mod outages;
mod output;
mod own_metrics;
mod probe;
mod server_options;
mod statements;
mod support;
mod traced_queue;

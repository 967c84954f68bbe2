//! lens through its public interfaces: the OTLP receivers, the store, the API and the pages.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions
)]

mod api;
mod bounds;
mod hostile;
mod otlp;
mod pages;
mod receive_grpc;
mod receive_http;
mod saved;
mod scrape;
mod search;
mod support;

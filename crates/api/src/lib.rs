//! The HTTP service that creates orders: it writes each order to PostgreSQL, enqueues its job, and responds.
//!
//! [`startup`] builds and runs the server, `routes` maps paths to handlers, and each endpoint is a file of
//! `orders`.

pub mod commands;
pub mod config;
pub mod startup;

mod assets;
mod auth;
mod body;
mod cache;
mod caller;
mod connection;
mod console;
mod cors;
mod deadline;
mod error_body;
mod etag;
mod events;
mod filter;
mod health;
mod local_only;
mod metrics;
mod openapi;
mod operations;
mod orders;
mod problem;
mod proxies;
mod query;
mod rate_limit;
mod request_id;
mod reservation;
mod resource;
mod routes;
mod samples;
mod schema;
mod seconds;
mod server;
mod single_flight;
mod state;
mod trace_url;

#[doc(hidden)]
pub use orders::fuzzing;

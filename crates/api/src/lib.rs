//! The HTTP service that takes orders: it writes each to PostgreSQL, dispatches a job for it, and answers.
//!
//! [`startup`] builds and runs the server, `routes` says which path is whose, and each file of `orders` is one endpoint.

pub mod config;
pub mod startup;

mod auth;
mod body;
mod cache;
mod caller;
mod complete;
mod connection;
mod cors;
mod deadline;
mod events;
mod health;
mod metrics;
mod openapi;
mod orders;
mod pages;
mod problem;
mod query;
mod rate_limit;
mod routes;
mod server;
mod state;

//! Redis as a cache: a CLIENT span and a duration for each command, with the command and the pattern of its
//! key, never the key or a value.
//!
//! ```
//! # async fn get(key: &str) -> redis::RedisResult<Option<String>> { Ok(None) }
//! # async fn run() -> redis::RedisResult<()> {
//! use throughline_telemetry::cache;
//!
//! let server = cache::Server::new("localhost", 6379, 0);
//! let cached = server.run("GET", "GET totals:*", get("totals:customer-1")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! [`Connection`] does so for existing commands: it wraps any asynchronous connection of the redis crate.
//!
//! ```no_run
//! # async fn run() -> redis::RedisResult<()> {
//! use redis::AsyncCommands;
//! use throughline_telemetry::cache::{Connection, Server};
//!
//! let client = redis::Client::open("redis://localhost")?;
//! let plain = client.get_multiplexed_async_connection().await?;
//! let server = Server::new("localhost", 6379, 0);
//! let mut redis = Connection::new(plain, server).key_patterns(["totals:*"]);
//! let cached: Option<String> = redis.get("totals:customer-1").await?; // GET, `GET totals:*`
//! # Ok(())
//! # }
//! ```

mod command;
mod connection;
mod failure;
mod server;

pub use connection::Connection;
pub use failure::Failure;
pub use server::Server;

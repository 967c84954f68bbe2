//! Private PostgreSQL, Redis, proxies and OTLP capture for tests, and the product as real processes for tests
//! and the local stack.
//!
//! No process that is started here outlives the one that started it, even when that is killed: see
//! `supervised.rs`.

mod backup;
#[cfg(feature = "browser")]
mod browser;
mod cargo;
mod client;
mod docker;
mod eventually;
mod folder;
mod install;
mod orders;
mod pgbouncer;
mod ports;
mod postgres;
pub mod process;
mod programs;
mod prometheus;
mod proxy;
mod readiness;
#[cfg(feature = "lens")]
mod receiver;
mod redis;
mod sentinel;
mod server;
mod shared;
mod stack;
mod supervised;
mod temporary_program;
mod tools;
mod user;

use std::path::Path;

pub use backup::Backup;
#[cfg(feature = "browser")]
pub use browser::{Browser, Key, Screen};
pub use cargo::cargo;
pub use eventually::eventually;
pub use orders::wait_for_final_orders;
pub use pgbouncer::PgBouncer;
pub use ports::{free_port, is_free};
pub use postgres::{Database, Postgres};
pub use programs::postgres_program;
pub use prometheus::Prometheus;
pub use proxy::Proxy;
#[cfg(feature = "lens")]
pub use receiver::{Lens, lens};
pub use redis::Redis;
pub use rustix::process::Signal;
pub use sentinel::Sentinel;
pub use server::{DATABASE_URL, REDIS_URL};
pub use shared::{database, redis};
pub use stack::{BUILD, Binaries, Ports, Profile, Service, Stack, StackBuilder};
pub use tools::{find_chromedriver, find_promtool};

/// The folder of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here)
}

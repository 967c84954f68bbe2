//! PostgreSQL itself, independent of orders: URL, TLS, connections, pool, running statements.

mod any_name;
mod cancel;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod expressions;
pub(crate) mod json;
pub(crate) mod lane;
pub(crate) mod pool;
pub(crate) mod probe;
mod row;
pub(crate) mod runner;
mod tls;
pub(crate) mod written;

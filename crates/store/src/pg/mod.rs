//! PostgreSQL itself, without a word about orders: from the URL to a connection, the pool, and a statement's run.

mod any_name;
pub(crate) mod connect;
pub(crate) mod expressions;
pub(crate) mod json;
pub(crate) mod migrate;
pub(crate) mod pool;
mod prepared;
pub(crate) mod probe;
pub(crate) mod runner;
mod tls;

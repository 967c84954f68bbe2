//! What `throughline-api` does besides serving: one command of a file, on the database of DATABASE_URL.

mod erase;
mod migrate;
mod options;
mod prune;

pub use erase::erase;
pub use migrate::migrate;
pub use prune::prune;

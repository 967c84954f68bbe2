//! The commands as a person runs them, each test with its own folder and ports; and rules about all sources.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions
)]

mod deploy;
mod documentation;
mod mistakes;
mod modules;
mod quotes;
mod recipes;
mod references;
mod registry;
mod stack;
mod words;
mod xtask;

//! The commands as a person runs them: the program itself, on a folder and ports of the test's own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions
)]

mod documentation;
mod mistakes;
mod modules;
mod recipes;
mod stack;
mod words;
mod xtask;

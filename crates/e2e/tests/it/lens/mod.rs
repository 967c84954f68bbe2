//! lens in a real browser: what a developer does on its pages.

mod logs;
mod map;
mod metrics;
mod pages;
mod screenshots;
mod sender;
mod tasks;
mod traces;
mod untrusted;

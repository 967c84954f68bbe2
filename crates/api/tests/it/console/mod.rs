//! The operators' console over HTTP: access, pages, live parts.

mod access;
pub(crate) mod browser;
mod live;
mod orders;
mod outages;
mod overview;

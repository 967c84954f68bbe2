//! The endpoints of `/api/orders`, one per file.

pub(crate) mod analytics;
pub(crate) mod cancel;
pub(crate) mod create;
mod cursor;
mod draft;
mod enqueue;
pub(crate) mod events;
pub mod fuzzing;
pub(crate) mod history;
mod idempotency;
pub(crate) mod list;
pub(crate) mod read;
pub(crate) mod representation;
pub(crate) mod retry;

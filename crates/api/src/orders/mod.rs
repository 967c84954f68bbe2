//! The endpoints of `/api/orders`, one a file.

mod analytics;
mod body;
mod cancel;
mod create;
mod cursor;
mod dispatch;
mod draft;
mod etag;
mod events;
mod idempotency;
mod list;
pub(crate) mod paths;
mod read;
mod retry;

pub(crate) use analytics::analytics;
pub(crate) use cancel::cancel;
pub(crate) use create::create;
pub(crate) use events::events;
pub(crate) use list::list;
pub(crate) use read::read;
pub(crate) use retry::retry;

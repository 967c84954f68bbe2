//! The endpoints of `/api/orders`, one a file.

mod analytics;
mod analytics_cache;
mod body;
mod cancel;
mod create;
mod cursor;
mod draft;
mod idempotency;
mod list;
mod read;

pub(crate) use analytics::analytics;
pub(crate) use analytics_cache::AnalyticsCache;
pub(crate) use cancel::cancel;
pub(crate) use create::create;
pub(crate) use list::list;
pub(crate) use read::read;

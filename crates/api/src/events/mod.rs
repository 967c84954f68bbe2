//! Waiting for an order without holding a connection to PostgreSQL: transitions come over Redis, one connection for the process,
//! and are handed to whoever waits here. PostgreSQL is asked when somebody begins to wait, and every few seconds for all who do.

mod feed;
mod hub;
mod stream;

pub(crate) use feed::feed;
pub(crate) use hub::Hub;
pub(crate) use stream::{LAST_EVENT_ID, event_id, stream};

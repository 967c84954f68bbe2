//! Follows orders without holding a connection to PostgreSQL: events arrive over Redis, one connection for
//! the process, and the hub hands them to the subscribers of each order. PostgreSQL is read when a
//! subscription begins, and polled every few seconds for all subscribed orders.

mod feed;
mod hub;
mod response;
mod stream;

pub(crate) use feed::feed;
pub(crate) use hub::Hub;
pub(crate) use response::respond;
pub(crate) use stream::{LAST_EVENT_ID, event_id, stream};

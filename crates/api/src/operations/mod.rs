//! What operators do to many orders at once, and to the queue, one endpoint per file. A worker executes bulk
//! operations.

mod body;
pub(crate) mod bulk;
pub(crate) mod queue;
pub(crate) mod read;

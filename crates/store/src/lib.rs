//! Orders in PostgreSQL. PostgreSQL is the truth about every order: what a job in Redis says only starts a claim here.
//!
//! [`Store`] has one function for each statement, and each statement is one round trip that commits by itself. Every moment that
//! decides anything comes from PostgreSQL's clock: `now()` is when a statement started, so a lease or a delay never starts later
//! than its caller thinks.
//!
//! | module | what is done there |
//! |---|---|
//! | `create`, `read` | take an order; find, list and total them |
//! | `idempotency` | the same once, however often it is asked for |
//! | `change` | what people do to an order: cancel, reopen |
//! | `attempt` | what a worker does: claim, renew, complete, fail, retry later, release |
//! | `reconcile` | what is due again |
//! | `statement`, `prepared`, `pool`, `connect`, `tls` | the way of a statement to the server |

mod any_name;
mod attempt;
mod change;
mod config;
mod connect;
mod create;
mod error;
mod expressions;
mod idempotency;
mod migrate;
mod pool;
mod prepared;
mod read;
mod reconcile;
mod row;
mod schema;
mod statement;
mod tls;

pub use attempt::{Claim, ClaimToken};
pub use change::{Cancelled, Changed, Reopened};
pub use config::{StoreConfig, WAITING_PER_CONNECTION, database_url};
pub use error::StoreError;
pub use idempotency::{CreatedOnce, IdempotencyKey, Once};
pub use migrate::migrate;
pub use pool::PoolStatus;
pub use read::StatusTotal;
pub use reconcile::{DueOrder, DueReason};
pub use statement::Store;

//! Orders in PostgreSQL, the truth about every order: a job in Redis only starts a claim here.
//!
//! [`Store`] has one function per statement. Each statement is one round trip and commits by itself. Every
//! time that a decision depends on is PostgreSQL's: `now()` is the start of a statement, so a lease or a
//! backoff never starts later than its caller assumes.
//!
//! | module | contents |
//! |---|---|
//! | `create`, `read`, `search` | create an order; find, list and count orders |
//! | `filter` | which orders a list or an operation is for, and the index that finds them |
//! | `totals` | count and sum orders by status and currency |
//! | `samples` | what happened every 10 seconds, for charts |
//! | `idempotency` | create an order at most once per idempotency key |
//! | `change` | what people do to an order: cancel, retry |
//! | `operations`, `queue_state` | what operators do to many orders, and to the queue |
//! | `claim`, `attempt` | what a worker does: claim, lease renewal, record an intent, how an attempt ends |
//! | `batches` | the statements that carry many calls |
//! | `settlement` | how a payment ends |
//! | `transition`, `history` | append a transition to the history in the order's row; read it |
//! | `fencing` | who may write: the claim that holds the order |
//! | `reconcile` | find orders that are due for dispatch |
//! | `retention`, `erasure` | delete old orders; erase a customer's personal data |
//! | `sessions` | sessions of the operators' console |
//! | `leases` | work that one process at a time does |
//! | `pg` | PostgreSQL itself: URL, TLS, connections, pool, lanes, running a statement |
//! | `migrate` | the embedded migrations |

mod attempt;
mod batches;
mod change;
mod claim;
mod config;
mod create;
mod erasure;
mod error;
mod fencing;
mod filter;
mod history;
mod idempotency;
mod leases;
mod migrate;
mod operations;
mod pg;
mod queue_state;
mod read;
mod reconcile;
mod retention;
mod row;
mod samples;
mod schema;
mod search;
mod sessions;
mod settlement;
mod store;
mod totals;
mod transition;

pub use change::Changed;
pub use config::{StoreConfig, WAITING_PER_CONNECTION, database_url};
pub use erasure::Erasure;
pub use error::StoreError;
pub use fencing::Claim;
pub use filter::{Change, OrderFilter, Sort};
pub use history::{History, Transition};
pub use idempotency::{CreatedOnce, IdempotencyKey, Once};
pub use migrate::{migrate, migrate_reporting};
pub use operations::{Operation, OperationBatch};
pub use pg::probe::Schema;
pub use queue_state::QueueState;
pub use reconcile::{DueOrder, DueReason, EVER, Unfinished};
pub use retention::Prune;
pub use row::UnreadableOrder;
pub use samples::{SAMPLE_LENGTH, Sample, SampledState};
pub use sessions::{Session, SessionHash};
pub use settlement::{Settlement, UnsettledOrder};
pub use store::Store;
pub use totals::{StatusTotal, TotalsFold};

//! Fencing: only the attempt that holds an order writes to it. A worker that lost its lease changes nothing.

use diesel::dsl::auto_type;
use diesel::prelude::*;
use domain::{Attempt, OrderId, OrderStatus};
use uuid::Uuid;

use crate::pg::expressions::{StatusIs, status_is};
use crate::schema::orders;

/// The order, while this attempt holds it. The attempt's number is the fencing token.
#[auto_type]
pub(crate) fn held(id: OrderId, attempt: Attempt) -> _ {
    let id: Uuid = id.as_uuid();
    let attempt: i32 = attempt.number();
    let processing: StatusIs<'static> = status_is(OrderStatus::Processing.as_str());
    orders::table
        .filter(orders::id.eq(id))
        .filter(orders::attempt.eq(attempt))
        .filter(processing)
}

/// As [`held`], of the order that the row `job` of a statement for many orders names.
pub(crate) const fn held_by_job() -> &'static str {
    "orders.id = job.id AND orders.attempt = job.attempt AND (orders.status = 'processing') IS TRUE"
}

/// Locks the rows that a statement for many orders writes to. Rows that another transaction has locked are
/// left out: a statement never waits while it holds other rows, so there are no deadlocks, and one locked
/// order does not hold up the others. Its caller then runs the statement for that order alone.
pub(crate) const LOCK_OR_SKIP: &str = " FOR UPDATE OF orders SKIP LOCKED";

/// Locks the row of a statement for one order.
pub(crate) const LOCK_OR_WAIT: &str = " FOR UPDATE OF orders";

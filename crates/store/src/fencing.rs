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

//! With SABOTAGE=fencing, a worker that lost its lease writes all the same, so that the chaos test can prove
//! that it detects this. Only the feature `sabotage` compiles it; no build of the product has that feature.

use diesel::dsl::{AsExprOf, auto_type};
use diesel::prelude::*;
use diesel::sql_types::Bool;
use domain::{Attempt, OrderId};
use uuid::Uuid;

use crate::fencing;
use crate::schema::orders;

/// As [`fencing::held`], without the fencing if SABOTAGE says so.
#[auto_type]
pub(crate) fn held(id: OrderId, attempt: Attempt) -> _ {
    let fenced: fencing::held = fencing::held(id, attempt);
    let id: Uuid = id.as_uuid();
    let sabotaged: AsExprOf<bool, Bool> = is_sabotaged().into_sql::<Bool>();
    fenced.or_filter(orders::id.eq(id).and(sabotaged))
}

/// As [`fencing::held_by_job`], without the fencing if SABOTAGE says so.
pub(crate) fn held_by_job() -> &'static str {
    if is_sabotaged() {
        "orders.id = job.id"
    } else {
        fencing::held_by_job()
    }
}

fn is_sabotaged() -> bool {
    std::env::var("SABOTAGE").as_deref() == Ok("fencing")
}

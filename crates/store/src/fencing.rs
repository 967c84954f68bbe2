//! Fencing: only the claim that holds an order writes to it. A worker that lost its lease changes nothing.

use domain::{Attempt, OrderId, ProcessOrder};
use uuid::Uuid;

/// One delivery's claim of an order for an attempt. What the attempt writes has an effect only while this
/// claim holds the order. Repeating a claim after a lost response returns the same claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The order that it claims.
    pub order: OrderId,
    /// The attempt that it is for.
    pub attempt: Attempt,
    /// Distinguishes it from any other claim.
    pub token: Uuid,
}

impl Claim {
    /// A new claim of the job's order, with a random token.
    pub fn of(job: &ProcessOrder) -> Self {
        Self {
            order: job.order_id,
            attempt: job.attempt,
            token: Uuid::new_v4(),
        }
    }
}

/// The condition of a statement that writes to the orders that the rows `job` name, while their claims hold
/// them. The claim's token is the fencing token; the attempt's number alone would not do, because a crash of
/// PostgreSQL may undo a claim, and another worker then claims the same attempt. No index serves the status,
/// so a statement reads its orders by their ids, and never all that are processing.
#[cfg(not(feature = "sabotage"))]
pub(crate) fn held_by_job() -> &'static str {
    HELD_BY_JOB
}

const HELD_BY_JOB: &str = "orders.id = job.id AND orders.attempt = job.attempt \
    AND (orders.status = 'processing' AND orders.claim_token = job.token) IS TRUE";

/// With SABOTAGE=fencing, a worker that lost its lease writes all the same, so that the chaos test can prove
/// that it detects this. Only the feature `sabotage` compiles it; no build of the product has that feature.
#[cfg(feature = "sabotage")]
pub(crate) fn held_by_job() -> &'static str {
    if std::env::var("SABOTAGE").as_deref() == Ok("fencing") {
        "orders.id = job.id"
    } else {
        HELD_BY_JOB
    }
}

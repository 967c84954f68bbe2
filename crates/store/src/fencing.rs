//! Fencing: only the claim that holds an order writes to it. A worker that lost its lease changes nothing.

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

//! Claims orders for a worker's attempts.

use std::time::Duration;

use diesel::sql_types::{Interval, Jsonb, Text};
use domain::TraceContext;

use super::update::OrderUpdate;
use crate::fencing::Claim;
use crate::pg::expressions::interval;
use crate::pg::json::Json;
use crate::pg::written::Rows;
use crate::row::ClaimedRow;
use crate::transition::with_transition;

telemetry::statement! {
    pub(crate) ClaimOrder: "UPDATE" "orders", action "claim_order", framework "apalis";
    pub(crate) ClaimOrderAlone: "UPDATE" "orders", action "claim_order_alone", framework "apalis";
}

pub(crate) struct NewClaim {
    pub(crate) claim: Claim,
    pub(crate) trace: TraceContext,
    pub(crate) lease: Duration,
    /// The rest of the transition's line.
    pub(crate) transition: String,
}

/// Whether this is an order's next attempt, and the one before crashed: its lease ended because its worker
/// died. An attempt of release 0.1 may end so too when the gateway rejects its request, because the payment
/// is made in two steps: it counts as an attempt.
macro_rules! after_crash {
    () => {
        "(orders.attempt < job.attempt AND orders.status = 'processing' \
          AND orders.attempts_two_step = orders.attempt)::int"
    };
}

impl OrderUpdate for NewClaim {
    type Statement = ClaimOrder;
    type Alone = ClaimOrderAlone;
    type Row = ClaimedRow;

    /// A crash of PostgreSQL may undo it, as if the worker had died before. Whatever follows from a claim is
    /// durable only together with it: the payment's id, before money can move, and the outcome.
    const IS_DURABLE: bool = false;

    const SET: &'static str = concat!(
        "history = CASE WHEN orders.attempt = job.attempt THEN history ELSE ",
        with_transition!("job.attempt", "job.transition"),
        " END, \
         status = 'processing', \
         attempt = job.attempt, \
         attempts_two_step = attempts_two_step + (orders.attempt < job.attempt)::int, \
         attempts_forgiven = attempts_forgiven + ",
        after_crash!(),
        ", crashes = crashes + ",
        after_crash!(),
        ", claim_token = job.token, \
         attempt_trace_context = job.trace, \
         dispatch_after = now() + (1 + random() / 4) * job.lease, \
         updated_at = now()"
    );

    fn condition() -> [&'static str; 2] {
        [
            "orders.id = job.id AND (\
               orders.attempt = job.attempt - 1 AND (orders.status = 'pending' \
                 OR orders.status = 'processing' AND orders.dispatch_after <= now()) \
               OR orders.attempt = job.attempt AND orders.status = 'processing' \
                 AND orders.claim_token = job.token) IS TRUE",
            "",
        ]
    }

    fn parameters<'a>(job: Rows<'a>, claims: &[&'a Self]) -> Rows<'a> {
        job.column::<Jsonb, _>("trace", claims.iter().map(|claim| Json(&claim.trace)))
            .column::<Interval, _>("lease", claims.iter().map(|claim| interval(claim.lease)))
            .column::<Text, _>("transition", claims.iter().map(|claim| claim.transition.as_str()))
    }

    fn claim(&self) -> Claim {
        self.claim
    }
}

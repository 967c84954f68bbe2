//! Ends attempts that did not complete their orders: the orders fail, or are pending again.

use std::time::Duration;

use diesel::sql_types::{Bool, Integer, Interval, Nullable, Text};
use domain::{Failure, OrderStatus, PaymentStatus};

use super::update::OrderUpdate;
use crate::fencing::Claim;
use crate::pg::expressions::{interval, storable};
use crate::pg::written::Rows;
use crate::row::OrderRow;
use crate::transition::{NewTransition, with_transition};

telemetry::statement! {
    pub(crate) EndAttempt: "UPDATE" "orders", action "end_attempt", framework "apalis";
    pub(crate) EndAttemptAlone: "UPDATE" "orders", action "end_attempt_alone", framework "apalis";
}

/// The end of an attempt.
pub(crate) struct Ending {
    pub(crate) claim: Claim,
    /// The reason in the history.
    pub(crate) reason: String,
    pub(crate) next: Next,
    /// Whether the attempt counts against the limit.
    pub(crate) counts: bool,
    /// Since when the order waits for the gateway.
    pub(crate) waiting_since: WaitingSince,
    /// Code and detail; `None` leaves those of the attempt before.
    pub(crate) failure: Option<(String, String)>,
}

/// What comes after an attempt.
#[derive(Clone, Copy)]
pub(crate) enum Next {
    /// The order fails, and its payment, if it is pending, ends so.
    Failed(Option<PaymentStatus>),
    /// The order is due after this time.
    After(Duration),
    /// The order is due after a random part of this time (full jitter).
    Within(Duration),
}

#[derive(Clone, Copy)]
pub(crate) enum WaitingSince {
    Unchanged,
    /// This attempt, unless it waited before.
    Now,
    Never,
}

impl Ending {
    /// Of an attempt that failed: it counts, and did not have to wait for the gateway.
    pub(crate) fn failed(claim: Claim, failure: &Failure, next: Next) -> Self {
        let code = failure.code.as_str();
        Self {
            counts: true,
            waiting_since: WaitingSince::Never,
            failure: Some((
                storable(code).into_owned(),
                storable(&failure.detail).into_owned(),
            )),
            ..Self::uncounted(claim, code, next)
        }
    }

    /// Of an attempt that had no chance.
    pub(crate) fn uncounted(claim: Claim, reason: &str, next: Next) -> Self {
        Self {
            claim,
            reason: reason.to_owned(),
            next,
            counts: false,
            waiting_since: WaitingSince::Unchanged,
            failure: None,
        }
    }

    fn status(&self) -> OrderStatus {
        match self.next {
            Next::Failed(_) => OrderStatus::Failed,
            Next::After(_) | Next::Within(_) => OrderStatus::Pending,
        }
    }

    fn transition(&self) -> String {
        NewTransition::because(&self.reason).rest_of_line(self.status())
    }

    fn settlement(&self) -> Option<&'static str> {
        match self.next {
            Next::Failed(settlement) => settlement.map(PaymentStatus::as_str),
            Next::After(_) | Next::Within(_) => None,
        }
    }

    fn delay(&self) -> Option<Duration> {
        match self.next {
            Next::Failed(_) => None,
            Next::After(delay) | Next::Within(delay) => Some(delay),
        }
    }

    fn is_waiting(&self) -> Option<bool> {
        match self.waiting_since {
            WaitingSince::Unchanged => None,
            WaitingSince::Now => Some(true),
            WaitingSince::Never => Some(false),
        }
    }
}

impl OrderUpdate for Ending {
    type Statement = EndAttempt;
    type Alone = EndAttemptAlone;
    type Row = OrderRow;

    const SET: &'static str = concat!(
        "history = ",
        with_transition!("orders.attempt", "job.transition"),
        ", \
         status = job.new_status, \
         dispatch_after = now() + job.delay * CASE WHEN job.jitter THEN random() ELSE 1 END, \
         waiting_since = CASE job.waits WHEN true THEN coalesce(waiting_since, now()) \
           WHEN false THEN NULL ELSE waiting_since END, \
         crashes = 0, \
         attempts_forgiven = attempts_forgiven + job.forgiven, \
         completed_at = CASE job.new_status WHEN 'failed' THEN now() ELSE completed_at END, \
         updated_at = now(), \
         payment_status = CASE payment_status WHEN 'pending' THEN coalesce(job.settlement, payment_status) \
           ELSE payment_status END, \
         payments_refused = payments_refused \
           + (payment_status = 'pending' AND job.settlement IN ('refused', 'cancelled') IS TRUE)::int, \
         final_payment_id = CASE job.new_status WHEN 'failed' THEN payment_id ELSE final_payment_id END, \
         failure_code = coalesce(job.code, failure_code), \
         failure_detail = coalesce(job.detail, failure_detail)"
    );

    fn parameters<'a>(job: Rows<'a>, endings: &[&'a Self]) -> Rows<'a> {
        let failures = || endings.iter().map(|ending| ending.failure.as_ref());
        let (codes, details) = (
            failures().map(|failure| Some(failure?.0.as_str())),
            failures().map(|failure| Some(failure?.1.as_str())),
        );
        let has_jitter = |ending: &&Self| matches!(ending.next, Next::Within(_));
        job.column::<Text, _>("transition", endings.iter().map(|ending| ending.transition()))
            .column::<Text, _>(
                "new_status",
                endings.iter().map(|ending| ending.status().as_str()),
            )
            .column::<Nullable<Interval>, _>(
                "delay",
                endings.iter().map(|ending| ending.delay().map(interval)),
            )
            .column::<Bool, _>("jitter", endings.iter().map(has_jitter))
            .column::<Nullable<Bool>, _>("waits", endings.iter().map(|ending| ending.is_waiting()))
            .column::<Integer, _>("forgiven", endings.iter().map(|ending| i32::from(!ending.counts)))
            .column::<Nullable<Text>, _>("settlement", endings.iter().map(|ending| ending.settlement()))
            .column::<Nullable<Text>, _>("code", codes)
            .column::<Nullable<Text>, _>("detail", details)
    }

    fn claim(&self) -> Claim {
        self.claim
    }
}

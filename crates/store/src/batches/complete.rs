//! Completes the orders of attempts that succeeded. A completed order needs no payment token any more.

use diesel::sql_types::{Nullable, Text};

use super::update::OrderUpdate;
use crate::fencing::Claim;
use crate::pg::written::Rows;
use crate::row::OrderRow;
use crate::transition::with_transition;

telemetry::statement! {
    pub(crate) CompleteOrder: "UPDATE" "orders", action "complete_order", framework "apalis";
    pub(crate) CompleteOrderAlone: "UPDATE" "orders", action "complete_order_alone", framework "apalis";
}

pub(crate) struct Completion {
    pub(crate) claim: Claim,
    pub(crate) payment: Option<String>,
}

impl OrderUpdate for Completion {
    type Statement = CompleteOrder;
    type Alone = CompleteOrderAlone;
    type Row = OrderRow;

    const SET: &'static str = concat!(
        "history = ",
        with_transition!("orders.attempt", r#"'"completed"]'"#),
        ", \
         status = 'completed', \
         dispatch_after = NULL, \
         waiting_since = NULL, \
         crashes = 0, \
         completed_at = now(), \
         updated_at = now(), \
         payment_status = CASE WHEN job.payment IS NULL THEN payment_status ELSE 'charged' END, \
         payment_id = coalesce(job.payment, payment_id), \
         final_payment_id = coalesce(job.payment, payment_id), \
         payment_token = NULL, \
         failure_code = NULL, \
         failure_detail = NULL"
    );

    fn parameters<'a>(job: Rows<'a>, completions: &[&'a Self]) -> Rows<'a> {
        let payments = completions.iter().map(|completion| completion.payment.as_deref());
        job.column::<Nullable<Text>, _>("payment", payments)
    }

    fn claim(&self) -> Claim {
        self.claim
    }
}

//! Completes the orders of attempts that succeeded. A completed order needs no payment token any more.

use diesel::sql_types::{Integer, Nullable, Text, Uuid as SqlUuid};
use uuid::Uuid;

use super::update::OrderUpdate;
use crate::fencing::held_by_job;
use crate::pg::written::Rows;
use crate::row::OrderRow;
use crate::transition::with_transition;

telemetry::statement! {
    pub(crate) CompleteOrder: "UPDATE" "orders", action "complete_order", framework "apalis";
    pub(crate) CompleteOrderAlone: "UPDATE" "orders", action "complete_order_alone", framework "apalis";
}

pub(crate) struct Completion {
    pub(crate) id: Uuid,
    pub(crate) attempt: i32,
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

    fn condition() -> [&'static str; 2] {
        [held_by_job(), ""]
    }

    fn parameters<'a>(completions: &[&'a Self]) -> Rows<'a> {
        let payments = completions.iter().map(|completion| completion.payment.as_deref());
        Rows::default()
            .column::<SqlUuid, _>("id", completions.iter().map(|completion| completion.id))
            .column::<Integer, _>("attempt", completions.iter().map(|completion| completion.attempt))
            .column::<Nullable<Text>, _>("payment", payments)
    }

    fn id(&self) -> Uuid {
        self.id
    }

    fn id_of(row: &OrderRow) -> Uuid {
        row.id()
    }
}

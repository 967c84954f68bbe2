//! Records the gateway's ids of payments. An order whose row has another id keeps it.

use diesel::sql_types::Text;

use super::update::OrderUpdate;
use crate::fencing::{Claim, held_by_job};
use crate::pg::written::Rows;
use crate::row::IdRow;

telemetry::statement! {
    pub(crate) RecordIntent: "UPDATE" "orders", action "record_intent", framework "apalis";
    pub(crate) RecordIntentAlone: "UPDATE" "orders", action "record_intent_alone", framework "apalis";
}

pub(crate) struct IntentRecord {
    pub(crate) claim: Claim,
    pub(crate) payment: String,
}

impl OrderUpdate for IntentRecord {
    type Statement = RecordIntent;
    type Alone = RecordIntentAlone;
    type Row = IdRow;

    const SET: &'static str = "payment_id = job.payment";

    fn condition() -> [&'static str; 2] {
        [
            held_by_job(),
            " AND (orders.payment_id IS NULL OR orders.payment_id = job.payment) IS TRUE",
        ]
    }

    fn parameters<'a>(job: Rows<'a>, records: &[&'a Self]) -> Rows<'a> {
        job.column::<Text, _>("payment", records.iter().map(|record| record.payment.as_str()))
    }

    fn claim(&self) -> Claim {
        self.claim
    }
}

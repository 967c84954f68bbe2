//! Renews the lease of an attempt. Attempts that take as long as a third of their lease are rare, so a
//! renewal runs alone.

use std::time::Duration;

use diesel::sql_types::Interval;

use super::update::OrderUpdate;
use crate::fencing::Claim;
use crate::pg::expressions::interval;
use crate::pg::written::Rows;
use crate::row::IdRow;

telemetry::statement! {
    pub(crate) RenewLease: "UPDATE" "orders", action "renew_lease", framework "apalis";
}

pub(crate) struct Renewal {
    pub(crate) claim: Claim,
    pub(crate) lease: Duration,
}

impl OrderUpdate for Renewal {
    type Statement = RenewLease;
    type Alone = RenewLease;
    type Row = IdRow;

    const SET: &'static str = "dispatch_after = now() + (1 + random() / 4) * job.lease";

    fn parameters<'a>(job: Rows<'a>, renewals: &[&'a Self]) -> Rows<'a> {
        job.column::<Interval, _>("lease", renewals.iter().map(|renewal| interval(renewal.lease)))
    }

    fn claim(&self) -> Claim {
        self.claim
    }
}

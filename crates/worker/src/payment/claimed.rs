//! The claimed order of an attempt at a payment, and the intent that the attempt records on its row.

use std::sync::OnceLock;
use std::time::Duration;

use domain::Order;
use store::Store;

use super::intent::Intent;
use crate::lease::Lease;
use crate::outcome::Stop;

pub(super) struct Claimed<'a> {
    /// As it was claimed.
    pub(super) order: &'a Order,
    store: &'a Store,
    lease: &'a Lease<'a>,
    /// The id of the intent that this attempt recorded.
    recorded: OnceLock<String>,
}

impl<'a> Claimed<'a> {
    pub(super) fn new(order: &'a Order, store: &'a Store, lease: &'a Lease<'a>) -> Self {
        Self {
            order,
            store,
            lease,
            recorded: OnceLock::new(),
        }
    }

    /// The id of the order's intent, as the row has it now.
    pub(super) fn intent_id(&self) -> Option<&str> {
        self.recorded
            .get()
            .or(self.order.payment_id.as_ref())
            .map(String::as_str)
    }

    /// Whether the gateway may have charged the order, or may still do so.
    pub(super) fn may_be_charged(&self) -> bool {
        self.intent_id().is_some() || self.order.may_have_unrecorded_charge()
    }

    /// Writes the intent's id to the order's row, before money can move.
    pub(super) async fn record(&self, intent: Intent) -> Result<Intent, Stop> {
        #[cfg(feature = "sabotage")]
        if crate::sabotage::is_off("idempotency") || crate::sabotage::is_off("record_intent") {
            return Ok(intent);
        }
        match self.store.record_intent(self.lease.claim(), &intent.id).await {
            Ok(true) => {
                self.recorded.get_or_init(|| intent.id.clone());
                Ok(intent)
            }
            Ok(false) => Err(Stop::LeaseLost),
            Err(error) => {
                let id = self.order.id;
                telemetry::log_warn!(error, order.id = %id, "not charged: the intent was not recorded");
                Err(Stop::Abandoned)
            }
        }
    }

    /// Makes sure that the lease outlasts a request, so that no other worker starts one meanwhile.
    pub(super) async fn secure_lease(&self, request_timeout: Duration) -> Result<(), Stop> {
        match self.lease.holds_for(request_timeout).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(Stop::LeaseLost),
            Err(error) => {
                telemetry::log_warn!(
                    error,
                    order.id = %self.order.id,
                    "not charged: the lease ends too soon and was not renewed"
                );
                Err(Stop::Abandoned)
            }
        }
    }
}

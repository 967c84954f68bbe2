//! The attributes of the server span. A card's token must never become one.

use crate::intent::IntentId;
use crate::parameters::Metadata;

/// `order.id`, from the metadata's `order_id`.
pub(super) fn record_order(metadata: &Metadata) {
    if let Some(order) = metadata.get("order_id") {
        telemetry::span::set("order.id", order.to_owned());
    }
}

/// `payment.id`
pub(super) fn record_intent(id: IntentId) {
    telemetry::span::set("payment.id", id.to_string());
}

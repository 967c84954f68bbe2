//! An order as the API shows it.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::{Failure, Item, Order, OrderId, OrderStatus, PaymentMethod, PaymentStatus};
use serde::Serialize;

/// The JSON of one order. Amounts are decimal text, times RFC 3339 in UTC.
#[derive(Debug, Serialize)]
pub(crate) struct OrderBody {
    id: OrderId,
    product_name: String,
    items: Vec<ItemBody>,
    amount: String,
    currency: &'static str,
    status: OrderStatus,
    payment_method: Option<PaymentMethod>,
    payment_status: PaymentStatus,
    payment_id: Option<String>,
    attempt: i32,
    failure: Option<Failure>,
    trace_id: Option<String>,
    created_at: String,
    updated_at: String,
    completed_at: Option<String>,
}

#[derive(Debug, Serialize)]
struct ItemBody {
    product_name: String,
    quantity: u32,
    unit_price: String,
}

impl From<Order> for OrderBody {
    fn from(order: Order) -> Self {
        Self {
            id: order.id,
            product_name: order.product_name().to_owned(),
            amount: order.amount.to_string(),
            currency: order.amount.currency().code(),
            status: order.status,
            payment_method: order.payment_method,
            payment_status: order.payment_status,
            payment_id: order.payment_id,
            attempt: order.attempt.number(),
            failure: order.failure,
            trace_id: order.trace.trace_id().map(str::to_owned),
            created_at: rfc3339(order.created_at),
            updated_at: rfc3339(order.updated_at),
            completed_at: order.completed_at.map(rfc3339),
            items: order.items.into_iter().map(ItemBody::from).collect(),
        }
    }
}

impl From<Item> for ItemBody {
    fn from(item: Item) -> Self {
        Self {
            unit_price: item.unit_price.to_string(),
            product_name: item.product_name,
            quantity: item.quantity,
        }
    }
}

/// PostgreSQL keeps microseconds, so that is what is shown.
fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

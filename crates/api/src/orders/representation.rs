//! An order as clients see it.

use chrono::{DateTime, SecondsFormat, Utc};
use domain::{Failure, Item, Order, OrderId, OrderStatus, PaymentMethod, PaymentStatus};
use serde::Serialize;
use utoipa::ToSchema;

use crate::schema::{FailureBody, Method, PaymentState, Status};

/// An order. Amounts are decimal text, times RFC 3339 in UTC.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Order)]
pub(crate) struct OrderBody {
    /// A UUIDv7: ids sort by the time of creation.
    #[schema(value_type = uuid::Uuid)]
    id: OrderId,
    /// The name of its first item.
    product_name: String,
    items: Vec<ItemBody>,
    /// The sum of the items.
    #[schema(example = "99.99")]
    amount: String,
    /// ISO 4217.
    #[schema(example = "USD")]
    currency: &'static str,
    #[schema(value_type = Status)]
    status: OrderStatus,
    /// Null if no payment is made here.
    #[schema(required, value_type = Option<Method>)]
    payment_method: Option<PaymentMethod>,
    #[schema(value_type = PaymentState)]
    payment_status: PaymentStatus,
    /// The id of the payment intent at the gateway; null before there is one.
    #[schema(required)]
    payment_id: Option<String>,
    /// Attempts so far.
    attempt: i32,
    /// Why the order, or its last attempt, failed.
    #[schema(required, value_type = Option<FailureBody>)]
    failure: Option<Failure>,
    /// The trace of the order, from the request to the payment.
    #[schema(required)]
    trace_id: Option<String>,
    #[schema(format = DateTime)]
    created_at: String,
    #[schema(format = DateTime)]
    updated_at: String,
    /// When it reached its final state.
    #[schema(required, format = DateTime)]
    completed_at: Option<String>,
}

/// One line of an order.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Item)]
struct ItemBody {
    product_name: String,
    quantity: u32,
    /// The price of one unit.
    #[schema(example = "49.99")]
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

/// In microseconds, as PostgreSQL stores times.
pub(super) fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

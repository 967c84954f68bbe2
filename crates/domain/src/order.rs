//! The order itself, as it is read back from the store.

use chrono::{DateTime, Utc};

use crate::{
    Attempt, CustomerId, Failure, Item, Money, OrderId, OrderStatus, PaymentMethod, PaymentStatus,
    PaymentToken, ProcessOrder, TraceContext,
};

/// What a customer buys, and how far it is.
#[derive(Debug, Clone)]
pub struct Order {
    /// Which one.
    pub id: OrderId,
    /// Whose it is.
    pub customer: CustomerId,
    /// What is bought; never empty.
    pub items: Vec<Item>,
    /// The sum of the items.
    pub amount: Money,
    /// Where it is on its way.
    pub status: OrderStatus,
    /// What it is paid with, where a payment is asked for.
    pub payment_method: Option<PaymentMethod>,
    /// The gateway's token for that, where the customer gave one.
    pub payment_token: Option<PaymentToken>,
    /// How far the payment is.
    pub payment_status: PaymentStatus,
    /// The gateway's id of the charge.
    pub payment_id: Option<String>,
    /// How many attempts there were.
    pub attempt: Attempt,
    /// Attempts up to this one do not count against the most that are allowed: an operator reopened the order after it.
    pub attempts_forgiven: Attempt,
    /// How often a gateway refused its payment for good.
    pub payments_refused: i32,
    /// Why it failed, or why the last attempt did.
    pub failure: Option<Failure>,
    /// The context of the request that created it.
    pub trace: TraceContext,
    /// The context of its latest attempt.
    pub attempt_trace: Option<TraceContext>,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// When it last changed.
    pub updated_at: DateTime<Utc>,
    /// When it reached its final state.
    pub completed_at: Option<DateTime<Utc>>,
}

impl Order {
    /// The name an order goes by: that of its first item.
    pub fn product_name(&self) -> &str {
        self.items.first().map_or("", |item| &item.product_name)
    }

    /// The idempotency key of its charge. It stays the same for as long as a charge under it may have succeeded, so that no attempt
    /// charges again; only a payment that was refused for good, and that an operator wants tried once more, gets another.
    pub fn charge_key(&self) -> String {
        match self.payments_refused {
            0 => self.id.to_string(),
            refused => format!("{}:{refused}", self.id),
        }
    }

    /// The job for its next attempt, which belongs to the trace of the request that created the order.
    pub fn next_job(&self) -> ProcessOrder {
        ProcessOrder {
            order_id: self.id,
            attempt: self.attempt.next(),
            trace: self.trace.clone(),
            previous_attempt: self.attempt_trace.clone(),
        }
    }

    /// How many attempts count against the most that are allowed.
    pub fn attempts_counted(&self) -> i32 {
        self.attempt
            .number()
            .saturating_sub(self.attempts_forgiven.number())
    }
}

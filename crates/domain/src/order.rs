//! The order, from its creation on.

use chrono::{DateTime, Utc};

use crate::{
    Attempt, CustomerId, Failure, Item, Money, NewOrder, OrderId, OrderStatus, PaymentMethod, PaymentStatus,
    PaymentToken, ProcessOrder, TraceContext,
};

/// An order with its state.
#[derive(Debug, Clone)]
pub struct Order {
    /// Sorts by the time of creation.
    pub id: OrderId,
    /// The owner; other customers do not see the order.
    pub customer: CustomerId,
    /// Never empty.
    pub items: Vec<Item>,
    /// The sum of the items.
    pub amount: Money,
    /// The place in the state machine.
    pub status: OrderStatus,
    /// `None`: nothing is charged.
    pub payment_method: Option<PaymentMethod>,
    /// The gateway's token for the means of payment, if the customer sent one. Of stored orders, only one
    /// that is claimed has it.
    pub payment_token: Option<PaymentToken>,
    /// The state of the payment.
    pub payment_status: PaymentStatus,
    /// The gateway's id of the payment: stored before money can move.
    pub payment_id: Option<String>,
    /// The number of the latest attempt.
    pub attempt: Attempt,
    /// How many attempts do not count against the limit: those that waited for the gateway, whose worker died
    /// or was stopped, and those before an operator's retry.
    pub attempts_forgiven: i32,
    /// How many attempts were of a version that stores `payment_id` before money can move.
    pub attempts_two_step: i32,
    /// How many workers in a row died while they held the order.
    pub crashes: i32,
    /// How many payments ended without a charge: declined or cancelled.
    pub payments_refused: i32,
    /// Since when the order waits for an unavailable gateway, from attempt to attempt.
    pub waiting_since: Option<DateTime<Utc>>,
    /// Why the order, or its latest attempt, failed.
    pub failure: Option<Failure>,
    /// The trace context of the request that created the order.
    pub trace: TraceContext,
    /// The trace context of the latest attempt.
    pub attempt_trace: Option<TraceContext>,
    /// By PostgreSQL's clock, once it is stored.
    pub created_at: DateTime<Utc>,
    /// The time of the latest transition; later transitions of one order have later times.
    pub updated_at: DateTime<Utc>,
    /// The time of the transition to a final state.
    pub completed_at: Option<DateTime<Utc>>,
}

impl Order {
    /// A new order: pending, without an attempt. The store replaces its times by PostgreSQL's.
    pub fn new(id: OrderId, customer: CustomerId, order: NewOrder, trace: TraceContext) -> Self {
        let now = Utc::now();
        Self {
            id,
            customer,
            items: order.items,
            amount: order.amount,
            status: OrderStatus::Pending,
            payment_method: order.payment_method,
            payment_token: order.payment_token,
            payment_status: match order.payment_method {
                Some(_) => PaymentStatus::Pending,
                None => PaymentStatus::NotRequired,
            },
            payment_id: None,
            attempt: Attempt::NONE,
            attempts_forgiven: 0,
            attempts_two_step: 0,
            crashes: 0,
            payments_refused: 0,
            waiting_since: None,
            failure: None,
            trace,
            attempt_trace: None,
            created_at: now,
            updated_at: now,
            completed_at: None,
        }
    }

    /// The order as it was when it was created, at this time.
    pub fn as_created(self, created_at: DateTime<Utc>) -> Self {
        let order = NewOrder {
            items: self.items,
            amount: self.amount,
            payment_method: self.payment_method,
            payment_token: self.payment_token,
        };
        Self {
            created_at,
            updated_at: created_at,
            ..Self::new(self.id, self.customer, order, self.trace)
        }
    }

    /// The first item's name stands for the order.
    pub fn product_name(&self) -> &str {
        self.items.first().map_or("", |item| &item.product_name)
    }

    /// The idempotency key of the order's payment. It stays the same while a charge under it may have
    /// succeeded, so no attempt charges again. Only a retry after a payment without a charge gets another
    /// key.
    pub fn charge_key(&self) -> String {
        match self.payments_refused {
            0 => self.id.to_string(),
            ended => format!("{}:{ended}", self.id),
        }
    }

    /// Whether the order may be charged although it has no `payment_id`: a worker of release 0.1, which
    /// charges in one step, attempted it, and its outcome is unknown.
    pub fn may_have_unrecorded_charge(&self) -> bool {
        self.payment_status == PaymentStatus::Pending
            && self.payment_id.is_none()
            && self.attempts_two_step < self.attempt.number()
    }

    /// The job for the next attempt, in the trace of the request that created the order.
    pub fn next_job(&self) -> ProcessOrder {
        ProcessOrder {
            order_id: self.id,
            attempt: self.attempt.next(),
            trace: self.trace.clone(),
            previous_attempt: self.attempt_trace.clone(),
        }
    }

    /// The default of ORDER_MAX_ATTEMPTS: an order fails after so many attempts that count.
    pub const MAX_ATTEMPTS: i32 = 8;
    /// The default of ORDER_MAX_CRASHES: an order fails after so many workers in a row died with it.
    pub const MAX_CRASHES: i32 = 3;

    /// The number of attempts that count against the limit.
    pub fn attempts_counted(&self) -> i32 {
        self.attempt.number().saturating_sub(self.attempts_forgiven)
    }
}

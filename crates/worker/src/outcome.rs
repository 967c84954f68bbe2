//! How an attempt can end.

use std::time::Duration;

use domain::{Failure, Order, OrderStatus};

/// The order is complete; with the id of its payment intent if there was a payment.
pub(crate) type Outcome = Result<Option<String>, Stop>;

/// Why an attempt ends without completing its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Final: the card was declined, and the payment intent is cancelled.
    Declined(Failure),
    /// Final: another attempt would fail too. There is no payment intent, or it is cancelled.
    Failed(Failure),
    /// Another attempt may succeed; this one counts.
    Retry(Failure),
    /// The gateway is unavailable, or has not finished the payment. The order comes back after this time, and
    /// the attempt does not count.
    Waiting(Failure, Duration),
    /// Another worker has claimed the order.
    LeaseLost,
    /// This worker cannot continue; another one may claim the order at once.
    Abandoned,
}

impl Stop {
    pub(crate) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Declined(failure) | Self::Failed(failure) => Some(failure),
            Self::Retry(failure) | Self::Waiting(failure, _) => Some(failure),
            Self::LeaseLost | Self::Abandoned => None,
        }
    }

    /// The value of `error.type`. A declined card is no error, and an order that waits reports it once.
    pub(crate) fn error_type(&self, order: &Order) -> Option<&'static str> {
        match self {
            Self::Declined(_) => None,
            Self::Waiting(..) if order.waiting_since.is_some() => None,
            Self::LeaseLost => Some("lease_lost"),
            Self::Abandoned => Some("abandoned"),
            _ => self.failure().map(|failure| failure.code.label()),
        }
    }
}

/// Whether `order` is in the state that recording `outcome` leads to.
pub(crate) fn is_recorded(outcome: &Outcome, order: &Order) -> bool {
    let status = match outcome {
        Ok(payment_id) => return order.status == OrderStatus::Completed && order.payment_id == *payment_id,
        Err(Stop::Declined(_) | Stop::Failed(_)) => OrderStatus::Failed,
        Err(Stop::Retry(_) | Stop::Waiting(..)) => OrderStatus::Pending,
        Err(Stop::Abandoned) => return order.status == OrderStatus::Pending,
        Err(Stop::LeaseLost) => return false,
    };
    let failure = outcome.as_ref().err().and_then(Stop::failure);
    order.status == status && order.failure.as_ref() == failure
}

//! How an attempt can end.

use domain::{Failure, Order, OrderStatus};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Success; with the id of the charge if there was a payment.
    Completed(Option<String>),
    /// Final: the card was declined.
    Declined(Failure),
    /// Final: another attempt would fail too.
    Failed(Failure),
    /// Another attempt may succeed.
    RetryLater(Failure),
    /// Another worker has claimed the order.
    LeaseLost,
    /// This worker cannot continue; another one may claim the order at once.
    Abandoned,
}

impl Outcome {
    pub(super) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Declined(failure) | Self::Failed(failure) | Self::RetryLater(failure) => Some(failure),
            Self::Completed(_) | Self::LeaseLost | Self::Abandoned => None,
        }
    }

    /// The value of `error.type`.
    pub(super) fn error_type(&self) -> Option<&'static str> {
        match self {
            Self::LeaseLost => Some("lease_lost"),
            Self::Abandoned => Some("abandoned"),
            _ => self.failure().map(|failure| failure.code.label()),
        }
    }

    /// Whether `order` is in the state that recording this outcome leads to.
    pub(super) fn is_recorded_in(&self, order: &Order) -> bool {
        let (status, failure) = (order.status, order.failure.as_ref());
        match self {
            Self::Completed(payment_id) => {
                status == OrderStatus::Completed && order.payment_id == *payment_id
            }
            Self::Declined(own) | Self::Failed(own) => status == OrderStatus::Failed && failure == Some(own),
            Self::RetryLater(own) => status == OrderStatus::Pending && failure == Some(own),
            Self::Abandoned => status == OrderStatus::Pending,
            Self::LeaseLost => false,
        }
    }
}

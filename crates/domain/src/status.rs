//! The state machine of an order. Every transition is one function here and one statement in `store`; one that is not
//! here is an [`ImpossibleTransition`], never silence.
//!
//! ```text
//! pending ─claim→ processing ─complete→ completed
//!    ↑ │              │ └─fail→ failed ─reopen→ pending
//!    │ └─cancel→ cancelled
//!    └──retry_later───┘
//! ```

use crate::words;

words! {
    /// Where an order is on its way.
    OrderStatus("order status") {
        /// Waits for a worker.
        Pending = "pending",
        /// A worker holds a lease on it.
        Processing = "processing",
        /// Done; charged where a payment was asked for.
        Completed = "completed",
        /// Failed for good; the reason is in the order's failure.
        Failed = "failed",
        /// Cancelled by its customer before a worker took it.
        Cancelled = "cancelled",
    }
}

/// A change that the state machine does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {from} order cannot be {change}")]
pub struct ImpossibleTransition {
    /// The status the order has.
    pub from: OrderStatus,
    /// What was asked for, as a past participle.
    pub change: &'static str,
}

impl OrderStatus {
    /// A worker takes the order, or takes it over from one whose lease has ended.
    pub fn claim(self) -> Result<Self, ImpossibleTransition> {
        self.step(&[Self::Pending, Self::Processing], Self::Processing, "claimed")
    }

    /// The attempt succeeded.
    pub fn complete(self) -> Result<Self, ImpossibleTransition> {
        self.step(&[Self::Processing], Self::Completed, "completed")
    }

    /// The attempt failed, and no other is to follow.
    pub fn fail(self) -> Result<Self, ImpossibleTransition> {
        self.step(&[Self::Processing], Self::Failed, "failed")
    }

    /// The attempt failed or was given up, and another is to follow.
    pub fn retry_later(self) -> Result<Self, ImpossibleTransition> {
        self.step(&[Self::Processing], Self::Pending, "retried later")
    }

    /// The customer no longer wants it.
    pub fn cancel(self) -> Result<Self, ImpossibleTransition> {
        self.step(&[Self::Pending], Self::Cancelled, "cancelled")
    }

    /// An operator gives a failed order more attempts.
    pub fn reopen(self) -> Result<Self, ImpossibleTransition> {
        self.step(&[Self::Failed], Self::Pending, "retried")
    }

    /// Nothing happens to the order any more, unless an operator reopens it.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }

    fn step(self, from: &[Self], to: Self, change: &'static str) -> Result<Self, ImpossibleTransition> {
        if from.contains(&self) {
            Ok(to)
        } else {
            Err(ImpossibleTransition { from: self, change })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Step = fn(OrderStatus) -> Result<OrderStatus, ImpossibleTransition>;
    const STEPS: &[Step] = &[
        OrderStatus::claim,
        OrderStatus::complete,
        OrderStatus::fail,
        OrderStatus::retry_later,
        OrderStatus::cancel,
        OrderStatus::reopen,
    ];

    #[test]
    fn exactly_the_documented_transitions_exist() {
        use OrderStatus::*;
        let mut seen: Vec<_> = OrderStatus::ALL
            .iter()
            .flat_map(|from| STEPS.iter().filter_map(|step| Some((*from, step(*from).ok()?))))
            .collect();
        seen.sort_by_key(|(from, to)| (from.as_str(), to.as_str()));
        assert_eq!(
            seen,
            [
                (Failed, Pending),
                (Pending, Cancelled),
                (Pending, Processing),
                (Processing, Completed),
                (Processing, Failed),
                (Processing, Pending),
                (Processing, Processing),
            ]
        );
    }

    #[test]
    fn an_impossible_transition_says_what_was_asked() {
        let error = OrderStatus::Completed.cancel().unwrap_err();
        assert_eq!(error.to_string(), "a completed order cannot be cancelled");
    }

    #[test]
    fn words_read_back_and_others_are_refused_with_what_is_accepted() {
        for status in OrderStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        assert_eq!(
            "done".parse::<OrderStatus>().unwrap_err().to_string(),
            "`done` is no order status; accepted: pending, processing, completed, failed, cancelled"
        );
    }
}

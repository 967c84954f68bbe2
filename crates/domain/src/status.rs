//! The state machine of an order: one function per transition, and an [`ImpossibleTransition`] for everything
//! else. It is the specification that a test compares the SQL of `store` with; at run time the SQL decides.
//!
//! ```text
//! pending ─claim→ processing ─complete→ completed
//!    ↑ │              │ └─fail→ failed ─retry→ pending
//!    │ └─cancel→ cancelled
//!    └───back_off────┘
//! ```

use crate::word::word_enum;

word_enum! {
    /// The state of an order.
    OrderStatus("order status") {
        /// No worker holds it: it is new, or it waits for its next attempt.
        Pending = "pending",
        /// A worker holds a lease on it.
        Processing = "processing",
        /// Done; charged if it has a payment method.
        Completed = "completed",
        /// Failed without further attempts; the order's failure has the reason.
        Failed = "failed",
        /// Cancelled while it was pending.
        Cancelled = "cancelled",
    }
}

/// A transition that the state machine does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a {from} order cannot be {change}")]
pub struct ImpossibleTransition {
    /// The order's present status.
    pub from: OrderStatus,
    /// The requested change, as a past participle.
    pub change: &'static str,
}

impl OrderStatus {
    /// A worker claims the order, or takes it over after another worker's lease ended.
    pub fn claim(self) -> Result<Self, ImpossibleTransition> {
        self.step(&[Self::Pending, Self::Processing], Self::Processing, "claimed")
    }

    /// The attempt succeeded.
    pub fn complete(self) -> Result<Self, ImpossibleTransition> {
        self.step(&[Self::Processing], Self::Completed, "completed")
    }

    /// The attempt failed, and none follows.
    pub fn fail(self) -> Result<Self, ImpossibleTransition> {
        self.step(&[Self::Processing], Self::Failed, "failed")
    }

    /// The attempt failed, waits for the gateway, was abandoned or crashed; another one follows.
    pub fn back_off(self) -> Result<Self, ImpossibleTransition> {
        self.step(&[Self::Processing], Self::Pending, "redelivered")
    }

    /// The customer or an operator cancels the order, before it has a payment at the gateway.
    pub fn cancel(self) -> Result<Self, ImpossibleTransition> {
        self.step(&[Self::Pending], Self::Cancelled, "cancelled")
    }

    /// An operator gives a failed order more attempts.
    pub fn retry(self) -> Result<Self, ImpossibleTransition> {
        self.step(&[Self::Failed], Self::Pending, "retried")
    }

    /// Whether the order is done with. Only an operator's retry of a failed order leads out of a final state.
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
        OrderStatus::back_off,
        OrderStatus::cancel,
        OrderStatus::retry,
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
    fn an_impossible_transition_names_the_requested_change() {
        let error = OrderStatus::Completed.cancel().unwrap_err();
        assert_eq!(error.to_string(), "a completed order cannot be cancelled");
    }

    #[test]
    fn words_read_back_and_others_are_rejected_with_the_accepted_ones() {
        for status in OrderStatus::ALL {
            assert_eq!(status.as_str().parse(), Ok(*status));
        }
        assert_eq!(
            "done".parse::<OrderStatus>().unwrap_err().to_string(),
            "`done` is no order status; accepted: pending, processing, completed, failed, cancelled"
        );
    }
}

//! Who causes a transition of an order.

use std::fmt;

use crate::CustomerId;

/// Who causes a transition. Displayed as in a history and an audit record: `customer:<sub>`,
/// `operator:<sub>`, `worker:<name>` or `system`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Actor {
    /// The owner of the order.
    Customer(CustomerId),
    /// A person with the scope `orders:admin`, by the `sub` of the token.
    Operator(String),
    /// A worker, by the name under which it takes jobs.
    Worker(String),
    /// The service itself: the reconciler, a command.
    System,
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Customer(customer) => write!(f, "customer:{}", customer.as_str()),
            Self::Operator(sub) => write!(f, "operator:{sub}"),
            Self::Worker(name) => write!(f, "worker:{name}"),
            Self::System => f.write_str("system"),
        }
    }
}

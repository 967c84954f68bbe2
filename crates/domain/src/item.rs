//! One line of an order.

use crate::{Money, MoneyError};

/// A product, how many of it, and the price of one. An immutable snapshot of the moment of ordering.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// What it is called, 1 to 255 characters.
    pub product_name: String,
    /// How many, from 1.
    pub quantity: u32,
    /// The price of one.
    pub unit_price: Money,
}

impl Item {
    /// Quantity times unit price.
    pub fn total(&self) -> Result<Money, MoneyError> {
        self.unit_price.times(self.quantity)
    }

    /// The sum over all items; `None` for no items.
    pub fn sum(items: &[Self]) -> Option<Result<Money, MoneyError>> {
        items.iter().map(Self::total).reduce(|sum, next| sum?.plus(next?))
    }
}

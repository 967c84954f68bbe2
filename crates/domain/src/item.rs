//! One line of an order.

use crate::{Money, MoneyError};

/// A product, its quantity and its unit price: a snapshot of the moment of ordering, never changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// 1 to 255 characters.
    pub product_name: String,
    /// 1 to 100,000.
    pub quantity: u32,
    /// In the order's currency.
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

//! An order as a client sends it, and its validation. [`OrderDraft::validate`] reports every bad field at
//! once, by JSON pointer (RFC 6901).

use std::fmt::Display;

use iso_currency::Currency;
use serde::{Deserialize, Serialize};

use crate::{AmountText, Item, Money, MoneyError, PaymentMethod, PaymentToken};

/// The bounds of a draft.
pub mod limits {
    /// Characters in a product's name.
    pub const PRODUCT_NAME: std::ops::RangeInclusive<usize> = 1..=255;
    /// Items in an order.
    pub const ITEMS: std::ops::RangeInclusive<usize> = 1..=100;
    /// Units of one item.
    pub const QUANTITY: std::ops::RangeInclusive<u32> = 1..=100_000;
}

/// The body of a request to create an order: either `product_name` and `amount`, or `items`. Idempotency keys
/// store a hash of its serialized form, so every later field is optional here and in [`ItemDraft`], and has
/// `#[serde(skip_serializing_if = "Option::is_none")]`.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct OrderDraft {
    /// For an order of one product.
    pub product_name: Option<String>,
    /// For an order of one product: its price.
    pub amount: Option<AmountText>,
    /// For an order of several products.
    pub items: Option<Vec<ItemDraft>>,
    /// ISO 4217 code; USD if absent.
    pub currency: Option<String>,
    /// If absent, nothing is charged.
    pub payment_method: Option<String>,
    /// The gateway's token for the means of payment.
    pub payment_token: Option<String>,
}

/// One line of a draft.
#[derive(Debug, Clone, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ItemDraft {
    /// 1 to 255 characters.
    pub product_name: String,
    /// 1 to 100,000.
    pub quantity: u32,
    /// In the order's currency.
    pub unit_price: AmountText,
}

/// A validated draft.
#[derive(Debug, Clone)]
pub struct NewOrder {
    /// Never empty.
    pub items: Vec<Item>,
    /// The sum of the items.
    pub amount: Money,
    /// `None`: nothing is charged.
    pub payment_method: Option<PaymentMethod>,
    /// The gateway's token for the means of payment, if the customer sent one.
    pub payment_token: Option<PaymentToken>,
}

/// A field that breaks a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldError {
    /// JSON pointer into the body, for example `/items/0/quantity`; empty for the body as a whole.
    pub pointer: String,
    /// What is wrong, and what is accepted.
    pub detail: String,
}

impl OrderDraft {
    /// Checks every rule.
    ///
    /// # Errors
    /// One [`FieldError`] for each rule that the draft breaks.
    pub fn validate(self) -> Result<NewOrder, Vec<FieldError>> {
        let mut errors = Errors::default();
        let currency = self.currency(&mut errors);
        let payment_method = self.payment_method(&mut errors);
        let payment_token = self.payment_token(&mut errors);
        let items = self.into_items(currency, &mut errors);
        let amount = errors
            .ok_or_add("/items", Item::sum(&items).transpose())
            .flatten();

        match amount {
            Some(amount) if errors.0.is_empty() => Ok(NewOrder {
                items,
                amount,
                payment_method,
                payment_token,
            }),
            _ => Err(errors.0),
        }
    }

    fn currency(&self, errors: &mut Errors) -> Currency {
        let code = self.currency.as_deref().unwrap_or("USD");
        let Some(currency) = Currency::from_code(code) else {
            errors.add("/currency", "is no ISO 4217 code such as USD or EUR");
            return Currency::USD;
        };
        if currency.exponent().is_none() {
            errors.add("/currency", MoneyError::NoMinorUnit(currency.code()));
            return Currency::USD;
        }
        currency
    }

    fn payment_method(&self, errors: &mut Errors) -> Option<PaymentMethod> {
        let word = self.payment_method.as_deref()?;
        errors.ok_or_add("/payment_method", word.parse())
    }

    fn payment_token(&self, errors: &mut Errors) -> Option<PaymentToken> {
        let text = self.payment_token.as_deref()?;
        if self.payment_method.is_none() {
            errors.add("/payment_token", "needs a payment_method");
        }
        let token = PaymentToken::new(text);
        if token.is_none() {
            errors.add("/payment_token", "has 1 to 255 visible ASCII characters");
        }
        token
    }

    fn into_items(self, currency: Currency, errors: &mut Errors) -> Vec<Item> {
        match (self.items, self.product_name, self.amount) {
            (Some(items), None, None) => several(items, currency, errors),
            (Some(_), _, _) => {
                errors.add("", "takes either items, or product_name and amount, not both");
                Vec::new()
            }
            (None, Some(name), Some(amount)) => {
                let name = product_name("/product_name", name, errors);
                let price = errors.ok_or_add("/amount", Money::parse(amount.as_str(), currency));
                one(name, 1, price)
            }
            (None, name, amount) => {
                if name.is_none() {
                    errors.add("/product_name", "is required where there are no items");
                }
                if amount.is_none() {
                    errors.add("/amount", "is required where there are no items");
                }
                Vec::new()
            }
        }
    }
}

fn several(drafts: Vec<ItemDraft>, currency: Currency, errors: &mut Errors) -> Vec<Item> {
    if !limits::ITEMS.contains(&drafts.len()) {
        errors.add("/items", "has 1 to 100 items");
        return Vec::new();
    }
    let mut items = Vec::with_capacity(drafts.len());
    for (index, draft) in drafts.into_iter().enumerate() {
        let at = |field: &str| format!("/items/{index}/{field}");
        let name = product_name(&at("product_name"), draft.product_name, errors);
        if !limits::QUANTITY.contains(&draft.quantity) {
            errors.add(&at("quantity"), "is 1 to 100000");
        }
        let price = errors.ok_or_add(
            &at("unit_price"),
            Money::parse(draft.unit_price.as_str(), currency),
        );
        items.extend(one(name, draft.quantity, price));
    }
    items
}

fn one(product_name: Option<String>, quantity: u32, unit_price: Option<Money>) -> Vec<Item> {
    match (product_name, unit_price) {
        (Some(product_name), Some(unit_price)) => vec![Item {
            product_name,
            quantity,
            unit_price,
        }],
        _ => Vec::new(),
    }
}

fn product_name(pointer: &str, name: String, errors: &mut Errors) -> Option<String> {
    if name.trim().is_empty() || !limits::PRODUCT_NAME.contains(&name.chars().count()) {
        errors.add(pointer, "has 1 to 255 characters, not only blanks");
        return None;
    }
    if name.chars().any(char::is_control) {
        errors.add(pointer, "has no control characters");
        return None;
    }
    Some(name)
}

#[derive(Default)]
struct Errors(Vec<FieldError>);

impl Errors {
    fn add(&mut self, pointer: &str, detail: impl Display) {
        self.0.push(FieldError {
            pointer: pointer.to_owned(),
            detail: detail.to_string(),
        });
    }

    /// The value; an error is added, and gives `None`.
    fn ok_or_add<T>(&mut self, pointer: &str, result: Result<T, impl Display>) -> Option<T> {
        result.map_err(|error| self.add(pointer, error)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(json: &str) -> OrderDraft {
        serde_json::from_str(json).unwrap()
    }

    fn pointers(json: &str) -> Vec<String> {
        let errors = draft(json).validate().unwrap_err();
        errors.into_iter().map(|error| error.pointer).collect()
    }

    #[test]
    fn both_forms_of_an_order_are_accepted() {
        let short = draft(r#"{"product_name":"Widget","amount":"99.99"}"#)
            .validate()
            .unwrap();
        assert_eq!(short.amount.to_string(), "99.99");

        let long = draft(r#"{"items":[{"product_name":"Widget","quantity":2,"unit_price":49.99},{"product_name":"Bolt","quantity":1,"unit_price":"0.02"}],"currency":"EUR","payment_method":"paypal"}"#).validate().unwrap();
        assert_eq!(long.amount.to_string(), "100.00");
        assert_eq!(long.amount.currency(), Currency::EUR);
        assert_eq!(long.payment_method, Some(PaymentMethod::Paypal));
    }

    #[test]
    fn every_bad_field_is_reported_at_once() {
        assert_eq!(
            pointers(
                r#"{"items":[{"product_name":"","quantity":0,"unit_price":"x"}],"currency":"usd","payment_method":"cash","payment_token":"a b"}"#
            ),
            [
                "/currency",
                "/payment_method",
                "/payment_token",
                "/items/0/product_name",
                "/items/0/quantity",
                "/items/0/unit_price"
            ]
        );
        assert_eq!(pointers("{}"), ["/product_name", "/amount"]);
        assert_eq!(pointers(r#"{"product_name":"a","amount":1,"items":[]}"#), [""]);
        assert_eq!(pointers(r#"{"items":[]}"#), ["/items"]);
        assert_eq!(
            pointers(r#"{"product_name":"a\u0000b","amount":"1"}"#),
            ["/product_name"]
        );
        assert_eq!(
            pointers(r#"{"product_name":"a","amount":"1","payment_token":"t"}"#),
            ["/payment_token"]
        );
    }

    #[test]
    fn a_currency_without_a_minor_unit_is_the_only_bad_field() {
        let gold = r#"{"product_name":"a","amount":"1.5","currency":"XAU"}"#;
        let errors = draft(gold).validate().unwrap_err();
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert_eq!(errors[0].pointer, "/currency");
        assert!(errors[0].detail.contains("XAU"), "{errors:?}");
    }

    #[test]
    fn a_sum_beyond_the_largest_amount_is_rejected() {
        let items = r#"{"items":[{"product_name":"a","quantity":2,"unit_price":"99999999"}]}"#;
        assert_eq!(pointers(items), ["/items"]);
    }

    #[test]
    fn unknown_fields_are_rejected() {
        assert!(serde_json::from_str::<OrderDraft>(r#"{"product":"x"}"#).is_err());
    }
}

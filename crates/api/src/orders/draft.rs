//! Parses a body and applies the domain's rules. A valid body is parsed once. An invalid one is parsed again
//! field by field, so that the response lists all errors.

use domain::limits::ITEMS;
use domain::{AmountText, FieldError, ItemDraft, NewOrder, OrderDraft, PaymentMethod};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::problem::{FieldErrors, Problem};

pub(super) fn read(body: &[u8]) -> Result<OrderDraft, Problem> {
    match serde_json::from_slice(body) {
        Ok(draft) => Ok(draft),
        Err(error) if error.is_data() => Err(all_errors(body, &error)),
        Err(error) => Err(Problem::not_json(&error)),
    }
}

pub(super) fn validate(draft: OrderDraft) -> Result<NewOrder, Problem> {
    draft.validate().map_err(Problem::invalid)
}

fn all_errors(body: &[u8], first: &serde_json::Error) -> Problem {
    let value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => return Problem::not_json(&error),
    };
    let mut errors = FieldErrors::default();
    match value {
        Value::Object(fields) => Fields::at("", fields, &mut errors).order(),
        other => errors.add("", &type_error::<Map<String, Value>>(other)),
    }
    if errors.is_empty() {
        // Only parsing the whole body finds it, such as a duplicate field.
        errors.add("", first);
    }
    Problem::invalid(errors)
}

/// Parses the members of one object one by one.
struct Fields<'a> {
    pointer: &'a str,
    members: Map<String, Value>,
    errors: &'a mut FieldErrors,
}

impl<'a> Fields<'a> {
    fn at(pointer: &'a str, members: Map<String, Value>, errors: &'a mut FieldErrors) -> Self {
        Self {
            pointer,
            members,
            errors,
        }
    }

    /// Adds all errors of an order: wrong types and unknown fields first, then broken rules of the remaining
    /// fields.
    fn order(mut self) {
        let product_name = self.optional("product_name");
        let amount = self.optional("amount");
        let currency = self.optional("currency");
        let payment_method = match self.members.remove("payment_method") {
            // An unreadable payment_method is present all the same, so that a payment_token is not reported
            // to lack one.
            Some(value) => self
                .read("payment_method", value)
                .unwrap_or_else(|| Some(PaymentMethod::CreditCard.as_str().to_owned())),
            None => None,
        };
        let payment_token = self.optional("payment_token");
        let items = match self.members.remove("items") {
            Some(Value::Array(items)) if items.len() > *ITEMS.end() => {
                // As many errors as the client likes are not worth the reading.
                self.add_error("items", &format!("has at most {} items", ITEMS.end()));
                Some(vec![placeholder()])
            }
            Some(Value::Array(items)) => Some(self.items(items)),
            Some(Value::Null) | None => None,
            Some(other) => {
                self.add_error("items", &type_error::<Vec<Value>>(other));
                Some(vec![placeholder()])
            }
        };
        let known = OrderDraft {
            product_name,
            amount,
            items,
            currency,
            payment_method,
            payment_token,
        };
        self.add_unknown();
        for error in known.validate().err().unwrap_or_default() {
            if !self.errors.listed().iter().any(|known| covers(known, &error)) {
                self.errors.add(&error.pointer, &error.detail);
            }
        }
    }

    fn items(&mut self, items: Vec<Value>) -> Vec<ItemDraft> {
        let mut drafts = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let pointer = format!("{}/items/{index}", self.pointer);
            match item {
                Value::Object(members) => drafts.push(Fields::at(&pointer, members, self.errors).item()),
                other => {
                    self.errors
                        .add(&pointer, &type_error::<Map<String, Value>>(other));
                    drafts.push(placeholder());
                }
            }
        }
        drafts
    }

    /// The item, with valid values in place of invalid ones.
    fn item(mut self) -> ItemDraft {
        let other = placeholder();
        let item = ItemDraft {
            product_name: self.required("product_name", other.product_name),
            quantity: self.required("quantity", other.quantity),
            unit_price: self.required("unit_price", other.unit_price),
        };
        self.add_unknown();
        item
    }

    fn required<T: DeserializeOwned>(&mut self, name: &str, otherwise: T) -> T {
        match self.members.remove(name) {
            Some(value) => self.read(name, value).unwrap_or(otherwise),
            None => {
                self.add_error(name, &"is required");
                otherwise
            }
        }
    }

    fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let value = self.members.remove(name)?;
        self.read::<Option<T>>(name, value).flatten()
    }

    fn read<T: DeserializeOwned>(&mut self, name: &str, value: Value) -> Option<T> {
        match serde_json::from_value(value) {
            Ok(value) => Some(value),
            Err(error) => {
                self.add_error(name, &error);
                None
            }
        }
    }

    fn add_error(&mut self, name: &str, detail: &impl ToString) {
        self.errors.add_member(self.pointer, name, detail);
    }

    /// Reports the remaining members as unknown.
    fn add_unknown(&mut self) {
        for (name, _) in std::mem::take(&mut self.members) {
            self.add_error(&name, &"is not a field of this object");
        }
    }
}

/// Whether `known` is an error of the same field, or of an object around it.
fn covers(known: &FieldError, error: &FieldError) -> bool {
    match error.pointer.strip_prefix(&known.pointer) {
        Some(rest) => rest.is_empty() || (rest.starts_with('/') && !known.pointer.is_empty()),
        None => false,
    }
}

fn placeholder() -> ItemDraft {
    ItemDraft {
        product_name: "-".to_owned(),
        quantity: 1,
        unit_price: AmountText::from("1"),
    }
}

fn type_error<T: DeserializeOwned>(value: Value) -> String {
    match serde_json::from_value::<T>(value) {
        Ok(_) => "is invalid".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(body: &str) -> Vec<String> {
        let problem = match read(body.as_bytes()) {
            Ok(draft) => validate(draft).unwrap_err(),
            Err(problem) => problem,
        };
        let body: Value = serde_json::from_slice(&problem.body("/")).unwrap();
        let Some(Value::Array(errors)) = body.get("errors").cloned() else {
            return vec![body["detail"].as_str().unwrap().to_owned()];
        };
        errors
            .iter()
            .map(|error| error["pointer"].as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn wrong_types_unknown_fields_and_broken_rules_are_named_together() {
        assert_eq!(
            errors(r#"{"product_name":5,"amount":true,"currency":"usd","a/b":1}"#),
            ["/product_name", "/amount", "/a~1b", "/currency"]
        );
        assert_eq!(
            errors(
                r#"{"items":[{"product_name":1,"quantity":0,"unit_price":"1"},7,{"product_name":"","unit_price":"x","colour":"red"}],"payment_method":"cash"}"#
            ),
            [
                "/items/0/product_name",
                "/items/1",
                "/items/2/quantity",
                "/items/2/colour",
                "/payment_method",
                "/items/0/quantity",
                "/items/2/product_name",
                "/items/2/unit_price"
            ]
        );
        assert_eq!(
            errors(r#"{"product_name":"a","amount":"1","payment_method":7,"payment_token":"t"}"#),
            ["/payment_method"]
        );
        assert_eq!(errors(r#"{"items":"all"}"#), ["/items"]);
        assert_eq!(errors("[]"), [""]);
        assert_eq!(errors(r#"{"amount":1,"amount":2,"product_name":"a"}"#), [""]);
    }

    #[test]
    fn a_list_of_errors_is_bounded() {
        let rejected = |body: &str| {
            let body = read(body.as_bytes()).unwrap_err().body("/");
            assert!(body.len() <= 64 * 1024, "{} bytes", body.len());
            serde_json::from_slice::<Value>(&body).unwrap()
        };
        let items = |item: &str, count| format!("{{\"items\":[{}]}}", vec![item; count].join(","));
        // 64 KiB of items are refused before they are read.
        let body = rejected(&items("{}", 21_841));
        assert_eq!(body["errors"].as_array().unwrap().len(), 1);
        assert_eq!(body["errors"][0]["pointer"], "/items");
        let body = rejected(&items("{}", 100));
        assert_eq!(body["errors"].as_array().unwrap().len(), 100);
        assert_eq!(body["omitted_errors"], 200);
        // Texts that become longer when they are escaped.
        let long = "\\u0001".repeat(100);
        let names: Vec<String> = (0..100).map(|n| format!("\"{n}{long}\":1")).collect();
        let body = rejected(&format!("{{{}}}", names.join(",")));
        // Two more: the fields that are missing.
        let listed = body["errors"].as_array().unwrap().len();
        assert_eq!(body["omitted_errors"], 102 - listed);
    }

    #[test]
    fn invalid_json_is_reported_with_its_position() {
        assert_eq!(
            errors("{\n  \"amount\": }"),
            ["The body is not JSON: expected value at line 2 column 13."]
        );
        let deep = "[".repeat(100_000);
        assert_eq!(
            errors(&format!(r#"{{"items":{deep}"#)),
            ["The body is not JSON: recursion limit exceeded at line 1 column 136."]
        );
    }
}

//! Parses a body and applies the domain's rules. A valid body is parsed once. An invalid one is parsed again
//! field by field, so that the response lists all errors.

use domain::{AmountText, FieldError, ItemDraft, NewOrder, OrderDraft, PaymentMethod};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::problem::Problem;

pub(super) fn read(body: &[u8]) -> Result<OrderDraft, Problem> {
    match serde_json::from_slice(body) {
        Ok(draft) => Ok(draft),
        Err(error) if error.is_data() => Err(all_errors(body, &error)),
        Err(error) => Err(not_json(&error)),
    }
}

pub(super) fn validate(draft: OrderDraft) -> Result<NewOrder, Problem> {
    draft.validate().map_err(Problem::invalid)
}

/// The error names line and column.
fn not_json(error: &serde_json::Error) -> Problem {
    Problem::bad_request(format!("The body is not JSON: {error}."))
}

fn all_errors(body: &[u8], first: &serde_json::Error) -> Problem {
    let value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => return not_json(&error),
    };
    let mut errors = match value {
        Value::Object(fields) => Fields::at("", fields).order(),
        other => vec![field_error("", &type_error::<Map<String, Value>>(other))],
    };
    if errors.is_empty() {
        // Only parsing the whole body finds it, such as a duplicate field.
        errors.push(field_error("", &first));
    }
    Problem::invalid(errors)
}

/// Parses the members of one object one by one.
struct Fields<'a> {
    pointer: &'a str,
    members: Map<String, Value>,
    errors: Vec<FieldError>,
}

impl<'a> Fields<'a> {
    fn at(pointer: &'a str, members: Map<String, Value>) -> Self {
        Self {
            pointer,
            members,
            errors: Vec::new(),
        }
    }

    /// All errors of an order: wrong types and unknown fields first, then broken rules of the remaining
    /// fields.
    fn order(mut self) -> Vec<FieldError> {
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
        let mut errors = self.unknown();
        let broken_rules = known.validate().err().unwrap_or_default();
        let is_new = |error: &FieldError| !errors.iter().any(|known| covers(known, error));
        let new: Vec<FieldError> = broken_rules.into_iter().filter(is_new).collect();
        errors.extend(new);
        errors
    }

    fn items(&mut self, items: Vec<Value>) -> Vec<ItemDraft> {
        let mut drafts = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let pointer = format!("{}/items/{index}", self.pointer);
            match item {
                Value::Object(members) => {
                    let (draft, errors) = Fields::at(&pointer, members).item();
                    drafts.push(draft);
                    self.errors.extend(errors);
                }
                other => {
                    let error = type_error::<Map<String, Value>>(other);
                    self.errors.push(field_error(&pointer, &error));
                    drafts.push(placeholder());
                }
            }
        }
        drafts
    }

    /// The item, with valid values in place of invalid ones.
    fn item(mut self) -> (ItemDraft, Vec<FieldError>) {
        let other = placeholder();
        let item = ItemDraft {
            product_name: self.required("product_name", other.product_name),
            quantity: self.required("quantity", other.quantity),
            unit_price: self.required("unit_price", other.unit_price),
        };
        (item, self.unknown())
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
        let name = name.replace('~', "~0").replace('/', "~1");
        let pointer = format!("{}/{name}", self.pointer);
        self.errors.push(field_error(&pointer, detail));
    }

    /// Reports the remaining members as unknown, and returns all errors.
    fn unknown(mut self) -> Vec<FieldError> {
        for (name, _) in std::mem::take(&mut self.members) {
            self.add_error(&name, &"is not a field of this object");
        }
        self.errors
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

fn field_error(pointer: &str, detail: &impl ToString) -> FieldError {
    FieldError {
        pointer: pointer.to_owned(),
        detail: detail.to_string(),
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
        let body = problem.body("/");
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

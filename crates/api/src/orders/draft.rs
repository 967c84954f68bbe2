//! From a body to an order that meets every rule. A good body is read once; a bad one is read again field by field, so that its
//! answer names everything that is wrong with it.

use domain::{AmountText, FieldError, ItemDraft, NewOrder, OrderDraft, PaymentMethod};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::problem::Problem;

/// Reads the JSON.
pub(super) fn read(body: &[u8]) -> Result<OrderDraft, Problem> {
    match serde_json::from_slice(body) {
        Ok(draft) => Ok(draft),
        Err(error) if error.is_data() => Err(refused(body, &error)),
        Err(error) => Err(no_json(&error)),
    }
}

/// Applies the rules of the domain.
pub(super) fn validate(draft: OrderDraft) -> Result<NewOrder, Problem> {
    draft.validate().map_err(Problem::invalid)
}

/// With the line and the column.
fn no_json(error: &serde_json::Error) -> Problem {
    Problem::bad_request(format!("The body is not JSON: {error}."))
}

fn refused(body: &[u8], first: &serde_json::Error) -> Problem {
    let value = match serde_json::from_slice(body) {
        Ok(value) => value,
        Err(error) => return no_json(&error),
    };
    let mut errors = match value {
        Value::Object(fields) => Fields::at("", fields).order(),
        other => vec![field_error("", &type_error::<Map<String, Value>>(other))],
    };
    if errors.is_empty() {
        // Only reading it as a whole shows it, as a field that is there twice.
        errors.push(field_error("", &first));
    }
    Problem::invalid(errors)
}

/// The members of one object, read one by one.
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

    /// What is wrong with an order: wrong types and unknown fields first, then what the rules say to the rest.
    fn order(mut self) -> Vec<FieldError> {
        let product_name = self.optional("product_name");
        let amount = self.optional("amount");
        let currency = self.optional("currency");
        let payment_method = match self.members.remove("payment_method") {
            // One that cannot be read is there all the same: a payment_token does not lack it.
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
                self.note("items", &type_error::<Vec<Value>>(other));
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
        let news = |error: &FieldError| !errors.iter().any(|known| covers(known, error));
        let news: Vec<FieldError> = broken_rules.into_iter().filter(news).collect();
        errors.extend(news);
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

    /// The item, with something harmless in place of what is wrong.
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
                self.note(name, &"is required");
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
                self.note(name, &error);
                None
            }
        }
    }

    fn note(&mut self, name: &str, detail: &impl ToString) {
        let name = name.replace('~', "~0").replace('/', "~1");
        let pointer = format!("{}/{name}", self.pointer);
        self.errors.push(field_error(&pointer, detail));
    }

    /// All errors, with those for what is left over.
    fn unknown(mut self) -> Vec<FieldError> {
        for (name, _) in std::mem::take(&mut self.members) {
            self.note(&name, &"is no field of this object");
        }
        self.errors
    }
}

/// Whether `known` already tells of what `error` is about.
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
        Ok(_) => "cannot be taken".to_owned(),
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
    fn what_is_no_json_is_told_with_its_place() {
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

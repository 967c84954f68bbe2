//! Attributes and their values, in the order in which they were sent.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

/// The key and value pairs of a span, a resource, a log record or a metric point.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Attributes(Vec<(Arc<str>, Value)>);

/// An OTLP `AnyValue`.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub enum Value {
    /// The sender set no value.
    #[default]
    Empty,
    String(Arc<str>),
    Bool(bool),
    Int(i64),
    Double(f64),
    /// Displayed and serialized as hex.
    Bytes(Vec<u8>),
    Array(Vec<Value>),
    Map(Attributes),
}

impl Attributes {
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.iter()
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// `None` if `key` is absent or its value is not a string.
    #[must_use]
    pub fn get_str(&self, key: &str) -> Option<&str> {
        self.get(key).and_then(Value::as_str)
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (&**key, value))
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// An estimate of the memory used on the heap. Texts that attributes share count for each of them.
    pub(crate) fn heap_bytes(&self) -> usize {
        let bytes =
            |(key, value): (&str, &Value)| size_of::<(Arc<str>, Value)>() + key.len() + value.heap_bytes();
        self.iter().map(bytes).sum()
    }
}

impl<K: Into<Arc<str>>> FromIterator<(K, Value)> for Attributes {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(pairs: I) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value))
                .collect(),
        )
    }
}

impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        separated(f, "{", self.iter(), "}", |f, (key, value)| {
            write!(f, "{key}={value}")
        })
    }
}

impl Serialize for Attributes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl Value {
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// `None` for an integer: OTLP has two types of numbers.
    #[must_use]
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Double(number) => Some(*number),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(truth) => Some(*truth),
            _ => None,
        }
    }

    pub(crate) fn heap_bytes(&self) -> usize {
        match self {
            Self::String(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Array(values) => values
                .iter()
                .map(|value| size_of::<Self>() + value.heap_bytes())
                .sum(),
            Self::Map(attributes) => attributes.heap_bytes(),
            Self::Empty | Self::Bool(_) | Self::Int(_) | Self::Double(_) => 0,
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => Ok(()),
            Self::String(text) => f.write_str(text),
            Self::Bool(truth) => write!(f, "{truth}"),
            Self::Int(number) => write!(f, "{number}"),
            Self::Double(number) => write!(f, "{number}"),
            Self::Bytes(bytes) => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
            Self::Array(values) => separated(f, "[", values, "]", |f, value| write!(f, "{value}")),
            Self::Map(attributes) => write!(f, "{attributes}"),
        }
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Empty => serializer.serialize_unit(),
            Self::String(text) => serializer.serialize_str(text),
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::Int(number) => serializer.serialize_i64(*number),
            Self::Double(number) if number.is_finite() => serializer.serialize_f64(*number),
            // JSON has no infinity and no NaN; like OTLP/JSON, lens writes them as strings.
            Self::Double(_) | Self::Bytes(_) => serializer.collect_str(self),
            Self::Array(values) => serializer.collect_seq(values),
            Self::Map(attributes) => attributes.serialize(serializer),
        }
    }
}

fn separated<T>(
    f: &mut fmt::Formatter<'_>,
    open: &str,
    items: impl IntoIterator<Item = T>,
    close: &str,
    write_item: impl Fn(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    f.write_str(open)?;
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        write_item(f, item)?;
    }
    f.write_str(close)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes() -> Attributes {
        Attributes::from_iter([
            ("order.id", Value::String("o-1".into())),
            ("order.amount", Value::Double(99.5)),
            (
                "codes",
                Value::Array(vec![Value::Int(1), Value::Bytes(vec![0xab, 1])]),
            ),
            ("odd", Value::Double(f64::NAN)),
        ])
    }

    #[test]
    fn a_value_is_found_by_its_key_and_read_by_its_type() {
        let attributes = attributes();
        assert_eq!(attributes.get_str("order.id"), Some("o-1"));
        assert_eq!(attributes.get("order.amount").and_then(Value::as_f64), Some(99.5));
        assert_eq!(attributes.get_str("order.amount"), None);
        assert_eq!(attributes.get("absent"), None);
    }

    #[test]
    fn values_print_and_serialize_as_plain_text_and_json() {
        assert_eq!(attributes().get("codes").unwrap().to_string(), "[1, ab01]");
        assert_eq!(
            serde_json::to_string(&attributes()).unwrap(),
            r#"{"order.id":"o-1","order.amount":99.5,"codes":[1,"ab01"],"odd":"NaN"}"#
        );
    }
}

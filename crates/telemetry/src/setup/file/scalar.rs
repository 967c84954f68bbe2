//! The type of a scalar, by the core schema of YAML 1.2: it depends on the text that substitution has made.

use serde::de::Visitor;

use super::refusal::Refusal;

/// A scalar after substitution.
pub(super) struct Scalar {
    pub(super) text: String,
    /// Whether it has neither quotes nor the tag of texts. Otherwise it is a text.
    pub(super) is_plain: bool,
}

impl Scalar {
    pub(super) fn is_null(&self) -> bool {
        self.is_plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }

    pub(super) fn visit<'de, V: Visitor<'de>>(&self, visitor: V) -> Result<V::Value, Refusal> {
        let text = self.text.as_str();
        if self.is_null() {
            visitor.visit_unit()
        } else if !self.is_plain {
            visitor.visit_str(text)
        } else if let Some(value) = boolean(text) {
            visitor.visit_bool(value)
        } else if let Some(value) = unsigned(text) {
            visitor.visit_u64(value)
        } else if let Ok(value) = text.parse() {
            visitor.visit_i64(value)
        } else if let Some(value) = float(text) {
            visitor.visit_f64(value)
        } else {
            visitor.visit_str(text)
        }
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

fn unsigned(text: &str) -> Option<u64> {
    let (digits, radix) = match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(digits), _) => (digits, 16),
        (_, Some(digits)) => (digits, 8),
        _ => return text.parse().ok(),
    };
    // No sign.
    let is_number = digits.chars().all(|digit| digit.is_digit(radix));
    u64::from_str_radix(digits, radix).ok().filter(|_| is_number)
}

fn float(text: &str) -> Option<f64> {
    let (sign, magnitude) = match text.strip_prefix('-') {
        Some(magnitude) => (-1.0, magnitude),
        None => (1.0, text.strip_prefix('+').unwrap_or(text)),
    };
    match magnitude {
        ".inf" | ".Inf" | ".INF" => Some(sign * f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" if magnitude == text => Some(f64::NAN),
        // Rust reads words such as `inf` too.
        _ if text
            .chars()
            .any(|c| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')) =>
        {
            None
        }
        _ => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::{Value, json};

    use super::*;

    fn value(text: &str, is_plain: bool) -> Value {
        struct Any(Scalar);
        impl<'de> serde::Deserializer<'de> for Any {
            type Error = Refusal;
            fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
                self.0.visit(visitor)
            }
            serde::forward_to_deserialize_any! {
                bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit
                unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
            }
        }
        let text = text.to_owned();
        Value::deserialize(Any(Scalar { text, is_plain })).unwrap()
    }

    #[test]
    fn a_plain_scalar_has_the_type_of_its_text() {
        for (text, expected) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("Null", json!(null)),
            ("TRUE", json!(true)),
            ("yes", json!("yes")),
            ("-12", json!(-12)),
            ("+12", json!(12)),
            ("012", json!(12)),
            ("0x1F", json!(31)),
            ("0o17", json!(15)),
            ("0x+1", json!("0x+1")),
            ("0x", json!("0x")),
            ("18446744073709551615", json!(u64::MAX)),
            ("18446744073709551616", json!(18_446_744_073_709_551_616.0)),
            ("1.5", json!(1.5)),
            (".5e1", json!(5.0)),
            ("5.", json!(5.0)),
            ("-.inf", json!(null)),
            ("inf", json!("inf")),
            ("+.nan", json!("+.nan")),
            ("1.0.0", json!("1.0.0")),
            ("e5", json!("e5")),
            ("-", json!("-")),
        ] {
            assert_eq!(value(text, true), expected, "{text}");
        }
    }

    #[test]
    fn a_quoted_scalar_is_a_text() {
        for text in ["", "null", "true", "1", "1.5"] {
            assert_eq!(value(text, false), json!(text));
        }
    }
}

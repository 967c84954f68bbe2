//! The type of a scalar, by the core schema of YAML 1.2: it depends on the text that substitution has made.

/// A scalar after substitution.
pub(super) struct Scalar {
    pub(super) text: String,
    /// Whether it has neither quotes nor the tag of texts. Otherwise it is a text.
    pub(super) is_plain: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Typed<'a> {
    Null,
    Boolean(bool),
    Integer(i128),
    Number(f64),
    Text(&'a str),
}

impl Scalar {
    pub(super) fn typed(&self) -> Typed<'_> {
        let text = self.text.as_str();
        if !self.is_plain {
            return Typed::Text(text);
        }
        if matches!(text, "" | "~" | "null" | "Null" | "NULL") {
            return Typed::Null;
        }
        boolean(text)
            .map(Typed::Boolean)
            .or_else(|| integer(text).map(Typed::Integer))
            .or_else(|| number(text).map(Typed::Number))
            .unwrap_or(Typed::Text(text))
    }
}

fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// From the smallest of `i64` to the largest of `u64`.
fn integer(text: &str) -> Option<i128> {
    let (digits, radix) = match (text.strip_prefix("0x"), text.strip_prefix("0o")) {
        (Some(digits), _) => (digits, 16),
        (_, Some(digits)) => (digits, 8),
        _ => {
            let unsigned = text.parse::<u64>().map(i128::from);
            return unsigned.or_else(|_| text.parse::<i64>().map(i128::from)).ok();
        }
    };
    // No sign.
    let is_number = digits.chars().all(|digit| digit.is_digit(radix));
    let number = u64::from_str_radix(digits, radix).ok();
    number.filter(|_| is_number).map(i128::from)
}

fn number(text: &str) -> Option<f64> {
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
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub(in crate::setup::file) fn to_json(scalar: &Scalar) -> Value {
        match scalar.typed() {
            Typed::Null => Value::Null,
            Typed::Boolean(value) => json!(value),
            Typed::Integer(value) => json!(value),
            Typed::Number(value) => json!(value),
            Typed::Text(value) => json!(value),
        }
    }

    fn value(text: &str, is_plain: bool) -> Value {
        let text = text.to_owned();
        to_json(&Scalar { text, is_plain })
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

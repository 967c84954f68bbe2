//! The right side of `key=value`, compared with attributes of any type.

use std::cmp::Ordering;

use crate::attributes::Value;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operand {
    pub(crate) text: String,
    number: Option<Number>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Number {
    double: f64,
    /// The largest integer that is not greater; `None` if it exceeds an `i64`.
    floor: Option<i64>,
}

impl Comparison {
    pub(crate) fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::AtMost => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::AtLeast => ordering.is_ge(),
        }
    }
}

impl Operand {
    pub(crate) fn new(text: String) -> Self {
        let double = text.parse().ok().filter(|number: &f64| number.is_finite());
        let number = double.map(|double| Number {
            double,
            floor: text
                .parse()
                .ok()
                .or_else(|| format!("{:.0}", double.floor()).parse().ok()),
        });
        Self { text, number }
    }

    pub(crate) fn is_number(&self) -> bool {
        self.number.is_some()
    }

    /// Whether the value, or an element of a list, compares as asked. A text is compared as a number by all
    /// comparisons but equality.
    pub(crate) fn matches(&self, value: &Value, comparison: Comparison) -> bool {
        let holds = |ordering: Option<Ordering>| ordering.is_some_and(|it| comparison.holds(it));
        match (value, self.number) {
            (Value::Array(values), _) => values.iter().any(|value| self.matches(value, comparison)),
            (Value::String(text), _) if comparison == Comparison::Equal => **text == *self.text,
            (Value::String(text), Some(number)) => {
                holds(text.parse().ok().and_then(|it| number.order_of(it)))
            }
            (Value::Int(integer), Some(number)) => comparison.holds(number.order_of_integer(*integer)),
            (Value::Double(double), Some(number)) => holds(number.order_of(*double)),
            (Value::String(_) | Value::Int(_) | Value::Double(_), None) => false,
            _ => comparison == Comparison::Equal && value.to_string() == self.text,
        }
    }
}

impl Number {
    fn order_of(self, double: f64) -> Option<Ordering> {
        double.partial_cmp(&self.double)
    }

    fn order_of_integer(self, integer: i64) -> Ordering {
        let Some(floor) = self.floor else {
            return 0.0_f64.total_cmp(&self.double);
        };
        let is_integral = self.double.fract() == 0.0;
        let order = integer.cmp(&floor);
        if order.is_eq() && !is_integral {
            Ordering::Less
        } else {
            order
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(value: &Value, comparison: Comparison, operand: &str) -> bool {
        Operand::new(operand.to_owned()).matches(value, comparison)
    }

    #[test]
    fn numbers_of_both_types_and_in_texts_are_compared() {
        use Comparison::{AtLeast, AtMost, Equal, Greater, Less};
        let values = [Value::Int(500), Value::Double(500.0), Value::String("500".into())];
        for value in values {
            for (comparison, operand, expected) in [
                (Equal, "500", true),
                (Equal, "499", false),
                (Greater, "499.5", true),
                (Greater, "500", false),
                (AtLeast, "500", true),
                (AtLeast, "500.5", false),
                (Less, "500.5", true),
                (AtMost, "499.9", false),
                (Less, "1e300", true),
                (Greater, "-1e300", true),
            ] {
                assert_eq!(
                    matches(&value, comparison, operand),
                    expected,
                    "{value} {comparison:?} {operand}"
                );
            }
        }
        assert!(matches(&Value::Int(i64::MAX), Equal, &i64::MAX.to_string()));
        assert!(!matches(&Value::Double(f64::NAN), Less, "1"));
    }

    #[test]
    fn other_values_are_compared_as_printed() {
        use Comparison::{Equal, Less};
        assert!(matches(&Value::Bool(true), Equal, "true"));
        assert!(matches(&Value::Bytes(vec![0xab]), Equal, "ab"));
        assert!(matches(
            &Value::Array(vec![Value::Int(1), Value::Int(2)]),
            Equal,
            "2"
        ));
        assert!(!matches(&Value::Int(1), Equal, "one"));
        assert!(!matches(&Value::String("a".into()), Less, "1"));
    }
}

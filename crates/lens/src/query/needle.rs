//! A text to find in others, whatever the case of its ASCII letters.

use super::work::Work;
use crate::attributes::{Attributes, Value};

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Needle {
    text: String,
    lower: u8,
    upper: u8,
    /// Whether a printed number or hexadecimal bytes may contain it.
    is_numeric: bool,
}

impl Needle {
    /// `None` for an empty text, which is in every other.
    pub(crate) fn new(text: &str) -> Option<Self> {
        let first = *text.as_bytes().first()?;
        Some(Self {
            text: text.to_owned(),
            lower: first.to_ascii_lowercase(),
            upper: first.to_ascii_uppercase(),
            is_numeric: text
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() || b".+-".contains(&byte)),
        })
    }

    pub(crate) fn is_in(&self, haystack: &str, work: &mut Work) -> bool {
        let (haystack, needle) = (haystack.as_bytes(), self.text.as_bytes());
        work.spend(48 + haystack.len() / 8);
        memchr::memchr2_iter(self.lower, self.upper, haystack).any(|at| {
            work.spend(2 + needle.len() / 4);
            let found = haystack.get(at..at + needle.len());
            !work.is_exhausted() && found.is_some_and(|found| found.eq_ignore_ascii_case(needle))
        })
    }

    pub(crate) fn is_in_value(&self, value: &Value, work: &mut Work) -> bool {
        match value {
            Value::Empty => false,
            Value::String(text) => self.is_in(text, work),
            Value::Bool(truth) => self.is_in(if *truth { "true" } else { "false" }, work),
            Value::Array(values) => values.iter().any(|value| self.is_in_value(value, work)),
            Value::Map(attributes) => self.is_in_values_of(attributes, work),
            Value::Int(_) | Value::Double(_) | Value::Bytes(_) => {
                self.is_numeric && self.is_in(&value.to_string(), work)
            }
        }
    }

    pub(crate) fn is_in_values_of(&self, attributes: &Attributes, work: &mut Work) -> bool {
        attributes.iter().any(|(_, value)| self.is_in_value(value, work))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(needle: &str, value: &Value) -> bool {
        Needle::new(needle)
            .unwrap()
            .is_in_value(value, &mut Work::default())
    }

    #[test]
    fn a_text_is_found_in_any_case_at_any_place() {
        let value = Value::String("Card DECLINED: é".into());
        for needle in ["card", "declined", "D: é", "Card DECLINED: é"] {
            assert!(found(needle, &value), "{needle}");
        }
        for needle in ["declined!", "cards", "Card DECLINED: éé"] {
            assert!(!found(needle, &value), "{needle}");
        }
    }

    #[test]
    fn a_text_is_found_in_numbers_lists_and_maps() {
        let map = Value::Map([("key".to_owned(), Value::Int(1500))].into_iter().collect());
        let list = Value::Array(vec![Value::Bool(true), Value::Bytes(vec![0xab, 1]), map]);
        for needle in ["500", "TRUE", "ab01"] {
            assert!(found(needle, &list), "{needle}");
        }
        assert!(!found("key", &list));
    }

    #[test]
    fn a_search_without_steps_finds_nothing_and_ends() {
        let mut work = Work::default();
        work.spend(usize::MAX);
        assert!(!Needle::new("a").unwrap().is_in("aaa", &mut work));
    }
}

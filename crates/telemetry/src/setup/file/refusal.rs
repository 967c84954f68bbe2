//! Why a file is not accepted: which key, and what it takes. No value of a text is shown unless its key
//! cannot hold a secret.

use std::fmt;

use serde::de::{Error, Expected, Unexpected};

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// From the inside to the outside.
    path: Vec<Step>,
    reason: String,
}

/// A part of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
}

impl Refusal {
    pub(super) fn new(reason: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            reason: reason.into(),
        }
    }

    /// For a key of the specification, or any other, that has no meaning here.
    pub(super) fn unknown(taken: &[&str]) -> Self {
        Self::new(format!("does not exist here; takes {}", one_of(taken)))
    }

    /// For a refusal of what this key contains.
    pub(super) fn within(self, key: &str) -> Self {
        self.inside(Step::Key(key.to_owned()))
    }

    /// For a refusal of what this item of a list contains.
    pub(super) fn within_item(self, index: usize) -> Self {
        self.inside(Step::Index(index))
    }

    fn inside(mut self, step: Step) -> Self {
        self.path.push(step);
        self
    }

    /// The path from the outside to the inside.
    pub(super) fn path(&self) -> impl Iterator<Item = &Step> {
        self.path.iter().rev()
    }
}

/// `tracer_provider.processors[0].batch: the reason`
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (depth, step) in self.path().enumerate() {
            match step {
                Step::Key(key) if depth == 0 => write!(f, "{key}")?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        let separator = if self.path.is_empty() { "" } else { ": " };
        write!(f, "{separator}{}", self.reason)
    }
}

impl std::error::Error for Refusal {}

impl Error for Refusal {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self::new(reason.to_string())
    }

    fn invalid_type(actual: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let got = match actual {
            Unexpected::Bool(_) => "a boolean",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => "an integer",
            Unexpected::Float(_) => "a number",
            Unexpected::Unit => "nothing",
            Unexpected::Seq => "a list",
            Unexpected::Map => "a mapping",
            _ => "a text",
        };
        Self::new(format!("got {got}; takes {}", kind(expected)))
    }

    fn invalid_value(actual: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match actual {
            Unexpected::Unsigned(number) => Self::new(format!("got `{number}`; takes {}", kind(expected))),
            Unexpected::Signed(number) => Self::new(format!("got `{number}`; takes {}", kind(expected))),
            other => Self::invalid_type(other, expected),
        }
    }

    fn unknown_variant(variant: &str, taken: &'static [&'static str]) -> Self {
        Self::new(format!("got `{variant}`; takes {}", one_of(taken)))
    }

    fn unknown_field(_: &str, taken: &'static [&'static str]) -> Self {
        Self::unknown(taken)
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(format!("{field} is required"))
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::new(format!("{field} is set twice"))
    }
}

/// What serde expects, in the words of YAML.
fn kind(expected: &dyn Expected) -> String {
    match expected.to_string().as_str() {
        "a string" => "a text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "u32" | "u64" | "usize" => "an integer from 0".to_owned(),
        "i8" => "an integer".to_owned(),
        "f64" => "a number".to_owned(),
        other if other.starts_with("struct ") => "a mapping".to_owned(),
        other => other.to_owned(),
    }
}

/// `a, b or c`
pub(super) fn one_of(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [word] => (*word).to_owned(),
        [words @ .., last] => format!("{} or {last}", words.join(", ")),
    }
}

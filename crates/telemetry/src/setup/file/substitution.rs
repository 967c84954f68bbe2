//! Environment variables in the values of a file: `${NAME}`, `${env:NAME}` and `${NAME:-default}`. `$$` is a
//! dollar sign that starts no reference.
//! <https://opentelemetry.io/docs/specs/otel/configuration/data-model/#environment-variable-substitution>

use std::collections::BTreeSet;

use settings::Env;

/// Replaces references, and knows which variables were named.
pub(super) struct Substitution<'a> {
    env: &'a Env,
    pub(super) names: BTreeSet<String>,
}

/// The content of a reference that names no variable.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("`${{{0}}}` names no variable; takes ${{NAME}}, ${{env:NAME}} or ${{NAME:-default}}")]
pub(super) struct Malformed(String);

impl<'a> Substitution<'a> {
    pub(super) fn new(env: &'a Env) -> Self {
        let names = BTreeSet::new();
        Self { env, names }
    }

    /// The text with the values of variables. They are not searched for references again. A variable that is
    /// absent and has no default is empty.
    pub(super) fn apply(&mut self, text: &str) -> Result<String, Malformed> {
        // A reference does not reach over an escaped dollar sign.
        let parts = text.split("$$").map(|part| self.replace(part));
        Ok(parts.collect::<Result<Vec<_>, _>>()?.join("$"))
    }

    fn replace(&mut self, text: &str) -> Result<String, Malformed> {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            result.push_str(before);
            match after.split_once('}') {
                Some((content, after)) if !content.is_empty() => {
                    result.push_str(&self.value(content)?);
                    rest = after;
                }
                // Nothing in the braces, or no end: a text like any other.
                _ => {
                    result.push_str("${");
                    rest = after;
                }
            }
        }
        result.push_str(rest);
        Ok(result)
    }

    fn value(&mut self, content: &str) -> Result<String, Malformed> {
        let reference = parse(content).or_else(|| parse(content.strip_prefix("env:")?));
        let (name, default) = reference.ok_or_else(|| Malformed(content.to_owned()))?;
        self.names.insert(name.to_owned());
        Ok(self.env.get(name).unwrap_or(default).to_owned())
    }
}

/// The name and the default of `NAME` or `NAME:-default`.
fn parse(content: &str) -> Option<(&str, &str)> {
    let (name, default) = content.split_once(":-").unwrap_or((content, ""));
    let is_start = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_name = name.starts_with(is_start) && name.chars().all(|c| is_start(c) || c.is_ascii_digit());
    (is_name && !default.contains('\n')).then_some((name, default))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(text: &str) -> Result<String, Malformed> {
        let env = Env::of([
            ("STRING_VALUE", "value"),
            ("FLOAT_VALUE", "1.1"),
            ("env", "e"),
            ("EMPTY", ""),
        ]);
        Substitution::new(&env).apply(text)
    }

    #[test]
    fn a_reference_has_a_name_and_a_default() {
        for (text, expected) in [
            ("http://${STRING_VALUE}:4318", "http://value:4318"),
            ("${env:STRING_VALUE:-x}", "value"),
            ("${UNDEFINED:-a:-b ä}", "a:-b ä"),
            ("${EMPTY:-default}", "default"),
            ("${EMPTY}", ""),
            ("${env:-x}${env}", "ee"),
            ("${env:UNDEFINED:-x}", "x"),
        ] {
            assert_eq!(apply(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn a_reference_without_a_name_is_an_error() {
        for content in [
            "1API_KEY",
            "API_$KEY",
            "STRING_VALUE:?error",
            "sys:user.home",
            "env:",
            " STRING_VALUE",
            "A:-\n",
        ] {
            let malformed = Malformed(content.to_owned());
            assert_eq!(apply(&format!("a ${{{content}}} b")), Err(malformed), "{content}");
        }
    }

    #[test]
    fn other_texts_stay() {
        for text in [
            "${STRING_VALUE",
            "${}",
            "$",
            "a $ b",
            "{STRING_VALUE}",
            "$STRING_VALUE",
            "ä$",
        ] {
            assert_eq!(apply(text).as_deref(), Ok(text), "{text}");
        }
    }

    #[test]
    fn the_names_of_references_are_known() {
        let env = Env::of([]);
        let mut substitution = Substitution::new(&env);
        substitution.apply("${A} ${env:B:-1} $${C}").unwrap();
        assert_eq!(Vec::from_iter(substitution.names), ["A", "B"]);
    }
}

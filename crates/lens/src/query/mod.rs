//! The search language: a [`Query`] selects traces or log records.
//!
//! Words are separated by spaces, and all of them must match:
//!
//! | word | matches |
//! |---|---|
//! | `key=value`, `key!=value` | an attribute of a span, its events, a log record, or the process |
//! | `key>1.5`, `>=`, `<`, `<=` | an attribute that is a number |
//! | `declined`, `"card declined"` | a text in a name, a message or an attribute's value |
//! | `service=`, `name=`, `root=` | a service, a span, the root span |
//! | `kind=server`, `status=error` | a span |
//! | `error` | a failed span; a log record from level error on |
//! | `duration>10ms` | a trace, from its first start to its last end |
//! | `level>=warn` | a log record |
//! | `trace=ID` | a trace, or its log records |
//! | `{ key=value duration>10ms }` | one span that matches all of these words |
//!
//! In the list of traces, a word outside of braces matches a trace if any of its spans or log records matches
//! it; `!=` matches if none has the value.

mod matches;
mod needle;
mod operand;
mod parse;
mod terms;
mod work;

use std::fmt;
use std::str::FromStr;

pub(crate) use matches::{LogMatcher, TraceMatcher, log_meets};
pub(crate) use operand::Comparison;
pub use parse::InvalidQuery;
pub(crate) use terms::{Condition, Term};
pub(crate) use work::Work;

/// A search, parsed from text. The default is empty and matches everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Query {
    text: String,
    terms: Vec<Term>,
}

impl Query {
    /// Parses a search of log records, which refuses words about spans.
    ///
    /// # Errors
    /// If the text is no query, or has a word that no log record can match.
    pub fn of_logs(text: &str) -> Result<Self, InvalidQuery> {
        let query: Self = text.parse()?;
        let suits = |term: &Term| matches!(term, Term::Anywhere(test) if test.condition.applies_to_logs());
        if query.terms.iter().all(suits) {
            return Ok(query);
        }
        let accepted = "log records have no root, kind, status, duration and no { }".to_owned();
        Err(InvalidQuery::Word(text.trim().to_owned(), accepted))
    }

    /// Parses words of the form `key=value` alone, as [`MetricQuery`](crate::MetricQuery) takes them: a key
    /// of a metric's attribute has no other meaning.
    ///
    /// # Errors
    /// If a word has another form.
    pub fn pairs(text: &str) -> Result<Vec<(String, String)>, InvalidQuery> {
        parse::pairs(text)
    }

    /// The text of a word that selects this value: `key=value`, with quotation marks where they are needed.
    #[must_use]
    pub fn word(key: &str, value: &str) -> String {
        let is_plain = |c: char| !c.is_whitespace() && c != '"';
        if !value.is_empty() && value.chars().all(is_plain) {
            return format!("{key}={value}");
        }
        format!("{key}=\"{}\"", value.replace('\\', r"\\").replace('"', "\\\""))
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    pub(crate) fn terms(&self) -> &[Term] {
        &self.terms
    }
}

impl FromStr for Query {
    type Err = InvalidQuery;

    fn from_str(text: &str) -> Result<Self, InvalidQuery> {
        Ok(Self {
            text: text.trim().to_owned(),
            terms: parse::terms(text)?,
        })
    }
}

/// As it was parsed.
impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        text.parse::<Query>().unwrap_err().to_string()
    }

    #[test]
    fn an_error_names_the_word_and_what_is_accepted() {
        for (text, expected) in [
            (
                "a duration>10 b",
                "`duration>10`: duration takes a number with ns, us, ms, s, min or h, as in duration>10ms",
            ),
            (
                "level=loud",
                "`level=loud`: level takes trace, debug, info, warn, error or fatal",
            ),
            ("size>large", "`size>large`: <, <=, > and >= take a number"),
            ("service>api", "`service>api`: service takes = and !="),
            (
                "a =b",
                "`=b`: a key is missing; put a text with = < > in quotation marks",
            ),
            ("a=", "`a=`: a value is missing after ="),
            (
                "kind=odd",
                "`kind=odd`: kind takes server, client, producer, consumer or internal",
            ),
            ("status=fine", "`status=fine`: status takes ok, error or unset"),
            (
                "error=maybe",
                "`error=maybe`: error stands alone, or takes true or false",
            ),
            (
                "trace=1",
                "`trace=1`: trace takes the id of a trace; an id is 32 hexadecimal digits, not all zero",
            ),
            ("a \"b c", "`\"b c` has a quotation mark that is not closed"),
            (
                "{ a=b",
                "`{` is not closed: write the words that one span must match as { key=value key=value }",
            ),
            (
                "a }",
                "`}` closes nothing: groups are written as { key=value key=value }",
            ),
            (
                "{ level=info }",
                "`level=info`: spans have no level; write it outside of { }",
            ),
        ] {
            assert_eq!(error(text), expected);
        }
    }

    #[test]
    fn a_query_has_bounds() {
        let too_long = "a search takes at most 2000 bytes and 32 words";
        assert_eq!(error(&"a".repeat(2_001)), too_long);
        assert_eq!(error(&"a ".repeat(33)), too_long);
    }

    #[test]
    fn spaces_alone_are_an_empty_query() {
        let query: Query = "  \u{a0} \"\" ".parse().unwrap();
        assert!(query.is_empty());
    }

    #[test]
    fn a_word_for_any_value_parses_to_that_value() {
        for value in [
            "plain",
            "",
            "two words",
            r#"a "quoted\" word"#,
            "{",
            "a=b",
            "é\u{2003}",
        ] {
            let query: Query = Query::word("key", value).parse().unwrap();
            let [Term::Anywhere(test)] = query.terms() else {
                panic!("{query}")
            };
            let Condition::Attribute(key, _, operand) = &test.condition else {
                panic!("{query}")
            };
            assert_eq!((key.as_str(), operand.text.as_str()), ("key", value));
        }
    }

    #[test]
    fn pairs_have_keys_and_values_alone() {
        let pairs = Query::pairs("service=api status=\"not found\"").unwrap();
        let expected = [("service", "api"), ("status", "not found")];
        assert_eq!(
            pairs,
            expected.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
        for text in ["api", "a!=b", "a>1", "=a", "\"a=b\""] {
            assert!(Query::pairs(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_search_of_logs_refuses_words_about_spans() {
        assert!(Query::of_logs("level>=warn service=api text key=1 error").is_ok());
        for text in ["root=a", "duration>1s", "kind=server", "status=ok", "{ a=b }"] {
            assert!(Query::of_logs(text).is_err(), "{text}");
        }
    }
}

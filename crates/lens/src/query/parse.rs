//! A query out of its text.

use std::time::Duration;

use super::needle::Needle;
use super::operand::{Comparison, Operand};
use super::terms::{Condition, Term, Test};
use crate::trace::{SpanKind, Status};

const MAX_BYTES: usize = 2_000;
const MAX_WORDS: usize = 32;
/// `!=` stands before the others: the first that matches at a place is taken.
const OPERATORS: [(&str, Comparison, bool); 6] = [
    ("!=", Comparison::Equal, true),
    (">=", Comparison::AtLeast, false),
    ("<=", Comparison::AtMost, false),
    (">", Comparison::Greater, false),
    ("<", Comparison::Less, false),
    ("=", Comparison::Equal, false),
];
/// The names of levels, and their lowest severity numbers; each has four.
const LEVELS: [(&str, i32); 6] = [
    ("trace", 1),
    ("debug", 5),
    ("info", 9),
    ("warn", 13),
    ("error", 17),
    ("fatal", 21),
];

/// Why a text is not a query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidQuery {
    #[error("a search takes at most {MAX_BYTES} bytes and {MAX_WORDS} words")]
    TooLong,
    #[error("`{0}` has a quotation mark that is not closed")]
    OpenQuote(String),
    #[error("`{{` is not closed: write the words that one span must match as {{ key=value key=value }}")]
    OpenGroup,
    #[error("`}}` closes nothing: groups are written as {{ key=value key=value }}")]
    NoGroup,
    /// The word, and what is accepted in its place.
    #[error("`{0}`: {1}")]
    Word(String, String),
}

pub(super) fn terms(text: &str) -> Result<Vec<Term>, InvalidQuery> {
    if text.len() > MAX_BYTES {
        return Err(InvalidQuery::TooLong);
    }
    let mut terms = Vec::new();
    let mut group: Option<Vec<Test>> = None;
    let words = words(text)?;
    if words.len() > MAX_WORDS {
        return Err(InvalidQuery::TooLong);
    }
    for word in words {
        match (word, &mut group) {
            ("{", None) => group = Some(Vec::new()),
            ("{", Some(_)) => return Err(InvalidQuery::OpenGroup),
            ("}", _) => terms.push(Term::OneSpan(group.take().ok_or(InvalidQuery::NoGroup)?)),
            (_, Some(tests)) => {
                let test = test(word)?;
                if let Some(test) = &test
                    && !test.condition.applies_to_spans()
                {
                    return Err(wrong(word, "spans have no level; write it outside of { }"));
                }
                tests.extend(test);
            }
            (_, None) => terms.extend(test(word)?.map(Term::Anywhere)),
        }
    }
    match group {
        Some(_) => Err(InvalidQuery::OpenGroup),
        None => Ok(terms),
    }
}

pub(super) fn pairs(text: &str) -> Result<Vec<(String, String)>, InvalidQuery> {
    if text.len() > MAX_BYTES {
        return Err(InvalidQuery::TooLong);
    }
    let pair = |word| match split(word) {
        Some((key, ("=", ..), value)) if !key.is_empty() => Ok((key.to_owned(), unquoted(value))),
        _ => Err(wrong(word, "metrics are selected by key=value")),
    };
    words(text)?.into_iter().map(pair).collect()
}

/// Separated by white space outside of quotation marks.
fn words(text: &str) -> Result<Vec<&str>, InvalidQuery> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (mut is_quoted, mut is_escaped) = (false, false);
        let end = rest.find(|c: char| {
            if is_escaped {
                is_escaped = false;
            } else if c == '"' {
                is_quoted = !is_quoted;
            } else {
                is_escaped = is_quoted && c == '\\';
            }
            c.is_whitespace() && !is_quoted
        });
        let (word, next) = rest
            .split_at_checked(end.unwrap_or(rest.len()))
            .unwrap_or((rest, ""));
        if is_quoted {
            return Err(InvalidQuery::OpenQuote(word.to_owned()));
        }
        words.push(word);
        rest = next.trim_start();
    }
    Ok(words)
}

/// `None` if the word is an empty text, which everything contains.
fn test(word: &str) -> Result<Option<Test>, InvalidQuery> {
    let Some((key, (operator, comparison, negated), value)) = split(word) else {
        let failed = Test {
            negated: false,
            condition: Condition::Failed,
        };
        let text = Needle::new(&unquoted(word)).map(|needle| Test {
            negated: false,
            condition: Condition::Text(needle),
        });
        return Ok(if word == "error" { Some(failed) } else { text });
    };
    if key.is_empty() {
        return Err(wrong(
            word,
            "a key is missing; put a text with = < > in quotation marks",
        ));
    }
    if value.is_empty() {
        return Err(wrong(word, &format!("a value is missing after {operator}")));
    }
    let value = unquoted(value);
    let condition = condition(key, comparison, &value).map_err(|accepted| wrong(word, &accepted))?;
    // `error=false` is not `error`.
    let negated = negated != (condition == Condition::Failed && value == "false");
    Ok(Some(Test { negated, condition }))
}

/// The key, operator and value of a word; `None` if it is a text.
fn split(word: &str) -> Option<(&str, (&'static str, Comparison, bool), &str)> {
    let until_quote = word.split('"').next().unwrap_or_default();
    until_quote.char_indices().find_map(|(at, _)| {
        let (key, rest) = word.split_at_checked(at)?;
        let found = OPERATORS
            .into_iter()
            .find(|(operator, ..)| rest.starts_with(operator))?;
        Some((key, found, rest.strip_prefix(found.0)?))
    })
}

fn condition(key: &str, comparison: Comparison, value: &str) -> Result<Condition, String> {
    let is_equality = comparison == Comparison::Equal;
    let equality_only = |condition| {
        if is_equality {
            Ok(condition)
        } else {
            Err(format!("{key} takes = and !="))
        }
    };
    match key {
        "service" => equality_only(Condition::Service(value.to_owned())),
        "name" => equality_only(Condition::Name(value.to_owned())),
        "root" => equality_only(Condition::Root(value.to_owned())),
        "kind" => equality_only(Condition::Kind(kind(value)?)),
        "status" => equality_only(Condition::Status(status(value)?)),
        "trace" => {
            let id = value
                .parse()
                .map_err(|error| format!("trace takes the id of a trace; {error}"))?;
            equality_only(Condition::Trace(id))
        }
        "error" if matches!(value, "true" | "false") => equality_only(Condition::Failed),
        "error" => Err("error stands alone, or takes true or false".to_owned()),
        "duration" => Ok(Condition::Duration(comparison, duration(value)?)),
        "level" => Ok(Condition::Level(level(comparison, value)?)),
        _ => {
            let operand = Operand::new(value.to_owned());
            if is_equality || operand.is_number() {
                Ok(Condition::Attribute(key.to_owned(), comparison, operand))
            } else {
                Err("<, <=, > and >= take a number".to_owned())
            }
        }
    }
}

fn kind(value: &str) -> Result<SpanKind, String> {
    let kind = SpanKind::from_str_name(&format!("SPAN_KIND_{}", value.to_ascii_uppercase()));
    kind.ok_or_else(|| "kind takes server, client, producer, consumer or internal".to_owned())
}

fn status(value: &str) -> Result<Status, String> {
    let status = Status::from_str_name(&format!("STATUS_CODE_{}", value.to_ascii_uppercase()));
    status.ok_or_else(|| "status takes ok, error or unset".to_owned())
}

/// In nanoseconds.
fn duration(value: &str) -> Result<u64, String> {
    let takes = "duration takes a number with ns, us, ms, s, min or h, as in duration>10ms";
    let units = [
        ("ns", 1e-9),
        ("us", 1e-6),
        ("µs", 1e-6),
        ("ms", 1e-3),
        ("min", 60.0),
        ("s", 1.0),
        ("h", 3600.0),
    ];
    let number = units.into_iter().find_map(|(unit, seconds)| {
        let number: f64 = value.strip_suffix(unit)?.parse().ok()?;
        Duration::try_from_secs_f64(number * seconds).ok()
    });
    let nanos = number.ok_or_else(|| takes.to_owned())?.as_nanos();
    Ok(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// The severity numbers of a level and those above or below it.
fn level(comparison: Comparison, value: &str) -> Result<std::ops::RangeInclusive<i32>, String> {
    let named = LEVELS
        .into_iter()
        .find(|(name, _)| value.eq_ignore_ascii_case(name));
    let (_, lowest) = named.ok_or("level takes trace, debug, info, warn, error or fatal")?;
    let highest = lowest + 3;
    Ok(match comparison {
        Comparison::Equal => lowest..=highest,
        Comparison::Less => 1..=lowest - 1,
        Comparison::AtMost => 1..=highest,
        Comparison::Greater => highest + 1..=i32::MAX,
        Comparison::AtLeast => lowest..=i32::MAX,
    })
}

/// Without quotation marks, and with `\"` and `\\` in them replaced by what they stand for.
fn unquoted(text: &str) -> String {
    let mut is_quoted = false;
    let mut plain = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => is_quoted = !is_quoted,
            '\\' if is_quoted => plain.extend(chars.next()),
            _ => plain.push(c),
        }
    }
    plain
}

fn wrong(word: &str, accepted: &str) -> InvalidQuery {
    InvalidQuery::Word(word.to_owned(), accepted.to_owned())
}

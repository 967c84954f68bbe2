//! Reads the values of a document. A refusal names the path, the line, and what is taken there. It shows no
//! text unless its key cannot hold a secret.

use std::time::Duration;

use super::node::{Content, Entry, Malformation, Node};
use super::scalar::Typed;

/// A value, and where it is in the document.
pub(super) struct Place<'a> {
    node: &'a Node,
    /// Such as `tracer_provider.processors[0].batch`; empty for the whole document.
    path: String,
    /// Of the key, or of the item of a list.
    line: usize,
}

type Read<T> = Result<T, Malformation>;

impl<'a> Place<'a> {
    pub(super) fn root(node: &'a Node) -> Self {
        Self {
            node,
            path: String::new(),
            line: node.line,
        }
    }

    fn of_entry(&self, entry: &'a Entry) -> Self {
        let separator = if self.path.is_empty() { "" } else { "." };
        Self {
            node: &entry.value,
            path: format!("{}{separator}{}", self.path, entry.key),
            line: entry.line,
        }
    }

    pub(super) fn refuse(&self, reason: impl Into<String>) -> Malformation {
        let mut reason = reason.into();
        if !self.path.is_empty() {
            reason = format!("{}: {reason}", self.path);
        }
        Malformation {
            line: self.line,
            reason,
        }
    }

    /// For a value of another type. It is not shown.
    fn unexpected(&self, takes: &str) -> Malformation {
        let got = match &self.node.content {
            Content::List(_) => "a list",
            Content::Mapping(_) => "a mapping",
            Content::Scalar(scalar) => match scalar.typed() {
                Typed::Null => "nothing",
                Typed::Boolean(_) => "a boolean",
                Typed::Integer(_) => "an integer",
                Typed::Number(_) => "a number",
                Typed::Text(_) => "a text",
            },
        };
        self.refuse(format!("got {got}; takes {takes}"))
    }

    /// For a key that has no meaning here.
    fn unknown(&self, taken: &[&str]) -> Malformation {
        self.refuse(format!("does not exist here; takes {}", one_of(taken)))
    }

    fn is_null(&self) -> bool {
        self.typed() == Some(Typed::Null)
    }

    /// `None` for a list or a mapping.
    fn typed(&self) -> Option<Typed<'a>> {
        match &self.node.content {
            Content::Scalar(scalar) => Some(scalar.typed()),
            Content::List(_) | Content::Mapping(_) => None,
        }
    }

    /// The values of these keys in a mapping, which has no others. `null` is a mapping without keys, so that
    /// `console:` needs no `{}`.
    pub(super) fn keys<const N: usize>(&self, keys: [&str; N]) -> Read<[Option<Self>; N]> {
        let entries = match &self.node.content {
            Content::Mapping(entries) => entries.as_slice(),
            _ if self.is_null() => &[],
            _ => return Err(self.unexpected("a mapping")),
        };
        let mut values: [Option<Self>; N] = std::array::from_fn(|_| None);
        for entry in entries {
            let place = self.of_entry(entry);
            let mut known = keys.iter().zip(&mut values);
            let Some((_, value)) = known.find(|(key, _)| **key == entry.key) else {
                return Err(place.unknown(&keys));
            };
            if value.replace(place).is_some() {
                return Err(self.refuse(format!("{} is set twice", entry.key)));
            }
        }
        Ok(values)
    }

    /// The value that [`keys`](Self::keys) found at this key.
    pub(super) fn required(&self, key: &str, value: Option<Self>) -> Read<Self> {
        value.ok_or_else(|| self.refuse(format!("{key} is required")))
    }

    pub(super) fn items(&self) -> Read<Vec<Self>> {
        let Content::List(items) = &self.node.content else {
            return Err(self.unexpected("a list"));
        };
        let items = items.iter().enumerate().map(|(index, item)| Self {
            node: item,
            path: format!("{}[{index}]", self.path),
            line: item.line,
        });
        Ok(items.collect())
    }

    /// What the only key of a mapping stands for, and its value.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Read<(T, Self)> {
        let words: Vec<_> = choices.iter().map(|(word, _)| *word).collect();
        let find = |key: &str| choices.iter().find(|(word, _)| *word == key);
        match &self.node.content {
            Content::Mapping(entries) => match entries.as_slice() {
                [entry] => {
                    let place = self.of_entry(entry);
                    match find(&entry.key) {
                        Some((_, chosen)) => Ok((*chosen, place)),
                        None => Err(place.unknown(&words)),
                    }
                }
                _ => Err(self.refuse(format!("takes one of {}", one_of(&words)))),
            },
            Content::Scalar(scalar) if !self.is_null() => Err(match find(&scalar.text) {
                Some((word, _)) => self.refuse(format!("got a text; takes a mapping, `{word}:`")),
                None => self.refuse(format!("got `{}`; takes {}", scalar.text, one_of(&words))),
            }),
            _ => Err(self.refuse(format!("takes {}", one_of(&words)))),
        }
    }

    /// What one of these words stands for.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Read<T> {
        let takes: Vec<_> = words.iter().map(|(word, _)| *word).collect();
        match &self.node.content {
            Content::Scalar(scalar) if !self.is_null() => {
                let found = words.iter().find(|(word, _)| *word == scalar.text);
                let refusal = || self.refuse(format!("got `{}`; takes {}", scalar.text, one_of(&takes)));
                found.map(|(_, meaning)| *meaning).ok_or_else(refusal)
            }
            _ => Err(self.refuse(format!("takes {}", one_of(&takes)))),
        }
    }

    pub(super) fn text(&self) -> Read<&'a str> {
        match self.typed() {
            Some(Typed::Text(text)) => Ok(text),
            _ => Err(self.unexpected("a text")),
        }
    }

    /// What `parse` makes of a text. A refusal shows the text.
    pub(super) fn parsed<T>(&self, takes: &str, parse: impl FnOnce(&str) -> Option<T>) -> Read<T> {
        let text = self.text()?;
        parse(text).ok_or_else(|| self.refuse(format!("got `{text}`; takes {takes}")))
    }

    /// What `parse` makes of a text that may have a secret.
    pub(super) fn secret<T>(&self, takes: &str, parse: impl FnOnce(&str) -> Option<T>) -> Read<T> {
        parse(self.text()?).ok_or_else(|| self.refuse(format!("takes {takes}")))
    }

    pub(super) fn boolean(&self) -> Read<bool> {
        match self.typed() {
            Some(Typed::Boolean(value)) => Ok(value),
            _ => Err(self.unexpected("a boolean")),
        }
    }

    pub(super) fn number(&self) -> Read<f64> {
        let number = match (&self.node.content, self.typed()) {
            (_, Some(Typed::Number(number))) => Some(number),
            (Content::Scalar(scalar), Some(Typed::Integer(_))) => scalar.text.parse().ok(),
            _ => None,
        };
        number.ok_or_else(|| self.unexpected("a number"))
    }

    /// An integer of a type that bounds it.
    pub(super) fn integer<T: TryFrom<i128>>(&self, takes: &str) -> Read<T> {
        match self.typed() {
            Some(Typed::Integer(integer)) => {
                T::try_from(integer).map_err(|_| self.refuse(format!("got `{integer}`; takes {takes}")))
            }
            _ => Err(self.unexpected(takes)),
        }
    }

    /// An integer of a type without a sign.
    pub(super) fn count<T: TryFrom<i128>>(&self) -> Read<T> {
        self.integer("an integer from 0")
    }

    /// An integer from 1.
    pub(super) fn up_to(&self, max: usize) -> Read<usize> {
        let number: usize = self.count()?;
        if (1..=max).contains(&number) {
            Ok(number)
        } else {
            Err(self.refuse(format!("got `{number}`; takes a number from 1 to {max}")))
        }
    }

    pub(super) fn milliseconds(&self) -> Read<Duration> {
        match self.count::<u64>()? {
            0 => Err(self.refuse("got `0`; takes a number of milliseconds above 0")),
            number => Ok(Duration::from_millis(number)),
        }
    }
}

/// The values of these keys in a mapping that may be absent.
pub(super) fn keys<'a, const N: usize>(
    place: Option<&Place<'a>>,
    keys: [&str; N],
) -> Read<[Option<Place<'a>>; N]> {
    match place {
        Some(place) => place.keys(keys),
        None => Ok(std::array::from_fn(|_| None)),
    }
}

/// A value that may be absent, or `null`.
pub(super) fn optional<'a, T>(
    place: Option<&Place<'a>>,
    read: impl FnOnce(&Place<'a>) -> Read<T>,
) -> Read<Option<T>> {
    place.filter(|place| !place.is_null()).map(read).transpose()
}

/// The items of a list that may be absent.
pub(super) fn each<'a, T>(list: Option<&Place<'a>>, read: impl FnMut(&Place<'a>) -> Read<T>) -> Read<Vec<T>> {
    let items = list.map_or_else(|| Ok(Vec::new()), Place::items)?;
    items.iter().map(read).collect()
}

/// `a, b or c`
fn one_of(words: &[&str]) -> String {
    match words {
        [] => "nothing".to_owned(),
        [word] => (*word).to_owned(),
        [words @ .., last] => format!("{} or {last}", words.join(", ")),
    }
}

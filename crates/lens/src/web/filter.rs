//! What a list searches for: the text of the search field, and the choices of the filters beside it. All of
//! them are words of one [`Query`].

use std::collections::BTreeMap;

use serde::Deserialize;

use super::address::address;
use super::frame::Frame;
use super::period::Period;
use super::problem::Problem;
use crate::query::Query;
use crate::search::Cursor;

/// The parameters of the lists of traces and of logs.
#[derive(Debug, Default, Clone, Deserialize)]
pub(super) struct Filter {
    #[serde(default)]
    pub(super) q: String,
    #[serde(default)]
    pub(super) service: String,
    /// A duration that traces exceed: `100ms`.
    #[serde(default)]
    pub(super) longer: String,
    /// `1` for failed traces alone.
    #[serde(default)]
    pub(super) failed: String,
    /// The lowest level of log records.
    #[serde(default)]
    pub(super) level: String,
    #[serde(default)]
    pub(super) trace: String,
    #[serde(default)]
    last: String,
    #[serde(default)]
    after: String,
}

impl Filter {
    /// All words, as they are typed into the search field.
    pub(super) fn words(&self) -> String {
        let mut words = vec![self.q.trim().to_owned()];
        for (key, value) in [("service", &self.service), ("trace", &self.trace)] {
            if !value.is_empty() {
                words.push(Query::word(key, value));
            }
        }
        let longer = self.longer.trim();
        if !longer.is_empty() {
            words.push(format!("duration>{longer}"));
        }
        if !self.failed.is_empty() {
            words.push("error".to_owned());
        }
        if !self.level.is_empty() {
            words.push(format!("level>={}", self.level));
        }
        words.retain(|word| !word.is_empty());
        words.join(" ")
    }

    pub(super) fn period(&self) -> Result<Period, Problem> {
        Period::parse(&self.last)
    }

    pub(super) fn after(&self) -> Result<Option<Cursor>, Problem> {
        if self.after.is_empty() {
            return Ok(None);
        }
        let place = self
            .after
            .parse()
            .map_err(|_| Problem::BadRequest(format!("after is `{}`: it is no place of a list", self.after)));
        place.map(Some)
    }

    pub(super) fn is_first_page(&self) -> bool {
        self.after.is_empty()
    }

    /// Whether everything is listed.
    pub(super) fn is_empty(&self) -> bool {
        self.words().is_empty() && self.last.is_empty()
    }

    /// With one more word, from the newest on.
    pub(super) fn narrowed(&self, word: &str) -> Self {
        let has_word = self.q.split(' ').any(|known| known == word);
        Self {
            q: if has_word {
                self.q.clone()
            } else {
                format!("{} {word}", self.q).trim().to_owned()
            },
            after: String::new(),
            ..self.clone()
        }
    }

    /// The frame of the list: its newest page follows what arrives, unless the search is invalid.
    pub(super) fn framed<'a>(&self, frame: Frame<'a>, is_valid: bool, live: &str) -> Frame<'a> {
        if is_valid && self.is_first_page() {
            frame.live_at(self.address(live))
        } else {
            frame
        }
    }

    /// An address with these parameters, from the newest on.
    pub(super) fn address(&self, path: &str) -> String {
        self.with(path, &self.last, "")
    }

    pub(super) fn address_after(&self, path: &str, after: &Cursor) -> String {
        self.with(path, &self.last, &after.to_string())
    }

    fn with(&self, path: &str, last: &str, after: &str) -> String {
        let parameters = [
            ("q", &*self.q),
            ("service", &*self.service),
            ("longer", &*self.longer),
            ("failed", &*self.failed),
            ("level", &*self.level),
            ("trace", &*self.trace),
            ("last", last),
            ("after", after),
        ];
        address(path, &parameters)
    }
}

/// A value by which traces are found.
pub(super) struct KeyLink {
    pub(super) name: String,
    pub(super) value: String,
    /// Of the list of these traces.
    pub(super) address: String,
}

impl KeyLink {
    /// Of the keys of a trace.
    pub(super) fn all(keys: &BTreeMap<String, String>) -> Vec<Self> {
        let link = |(name, value): (&String, &String)| Self {
            name: name.clone(),
            value: value.clone(),
            address: traces_with(name, value),
        };
        keys.iter().map(link).collect()
    }
}

/// The address of the traces with this attribute.
pub(crate) fn traces_with(key: impl AsRef<str>, value: impl AsRef<str>) -> String {
    address("/", &[("q", &Query::word(key.as_ref(), value.as_ref()))])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choices_of_the_filters_are_words_of_the_query() {
        let filter = Filter {
            q: " text ".to_owned(),
            service: "my api".to_owned(),
            longer: "10ms".to_owned(),
            failed: "1".to_owned(),
            ..Filter::default()
        };
        assert_eq!(filter.words(), "text service=\"my api\" duration>10ms error");
        assert!(filter.words().parse::<Query>().is_ok());
        assert_eq!(
            filter.address("/"),
            "/?q=%20text%20&service=my%20api&longer=10ms&failed=1"
        );
    }
}
